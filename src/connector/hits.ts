import { hash } from 'node:crypto';
import { type Epoch, isSameEpoch } from '../../machines/index.ts';
import type { HeldLease } from './leases.ts';

/** What the server promised to keep for one request until it is loaded. */
export interface Hit extends HeldLease {
  readonly requestId: string;
  /** What was asked for. */
  readonly digest: string;
  readonly blocks: number;
  /** When the lease was given, in milliseconds of the monotonic clock. */
  readonly sinceMs: number;
}

/**
 * A short name of everything that a query's result belongs to: epoch, group and hashes, each with its length. The server
 * keys running prefetches by the request id alone and keeps them across our epochs, so the id on the wire ends with it.
 */
export function queryDigest(epoch: Epoch, groupId: number, blockHashes: readonly Uint8Array[]): string {
  const head = Buffer.from(`${epoch.schedulerBootId}/${epoch.counter}/${groupId}/${blockHashes.length}/`);
  const lengths = Buffer.from(Uint32Array.from(blockHashes, ({ length }) => length).buffer);
  return hash('sha256', Buffer.concat([head, lengths, ...blockHashes]), 'base64url').slice(0, DIGEST_LENGTH);
}

/** 132 bits in base64url: no two queries share one by chance. */
const DIGEST_LENGTH = 22;

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
