import { hash } from 'node:crypto';
import { type Epoch, isSameEpoch } from '../../machines/index.ts';

export interface HeldLease {
  /** The epoch in which it was given. */
  readonly epoch: Epoch;
  readonly lease: Uint8Array;
}

/** What the server promised to keep for one request until it is loaded. */
export interface Hit extends HeldLease {
  readonly requestId: string;
  /** Which hashes were asked for. */
  readonly digest: string;
  readonly blocks: number;
  /** When the lease was given, in milliseconds of the monotonic clock. */
  readonly sinceMs: number;
}

/** A short name of a query's content: group and hashes, each with its length. */
export function queryDigest(groupId: number, blockHashes: readonly Uint8Array[]): string {
  const head = `${groupId}:${blockHashes.map(({ length }) => length).join()}:`;
  return hash('sha256', Buffer.concat([Buffer.from(head), ...blockHashes]), 'base64url').slice(0, 22);
}

/**
 * The id of a query on the wire. The server keys running prefetches by it alone and keeps them across our epochs, so
 * it names everything that a result belongs to.
 */
export function wireRequestId(requestId: string, epoch: Epoch, digest: string): string {
  return `${requestId}/${epoch.schedulerBootId}/${epoch.counter}/${digest}`;
}

/** Leases that are neither loaded nor given up yet, by request. */
export class Hits {
  #byRequest = new Map<string, Hit>();

  get(requestId: string): Hit | undefined {
    return this.#byRequest.get(requestId);
  }

  add(hit: Hit): void {
    this.#byRequest.set(hit.requestId, hit);
  }

  take(requestId: string): Hit | undefined {
    const hit = this.#byRequest.get(requestId);
    this.#byRequest.delete(requestId);
    return hit;
  }

  /** Removes and returns every hit of another epoch. */
  takeOutdated(epoch: Epoch): Hit[] {
    const outdated = [...this.#byRequest.values()].filter((hit) => !isSameEpoch(hit.epoch, epoch));
    for (const hit of outdated) this.#byRequest.delete(hit.requestId);
    return outdated;
  }

  takeAll(): Hit[] {
    const all = [...this.#byRequest.values()];
    this.#byRequest.clear();
    return all;
  }
}
