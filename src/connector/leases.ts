import { type Epoch, isSameEpoch } from '../../machines/index.ts';
import type { Server, ServiceOptions } from './service.ts';

export interface HeldLease {
  /** The epoch in which it was given. */
  readonly epoch: Epoch;
  readonly lease: Uint8Array;
}

export interface LeasesOptions extends ServiceOptions {
  readonly releaseTimeoutMs: number;
}

/** Gives leases back that nobody will load: at once, or when a server is in service that may still hold them. */
export class Leases {
  #options: LeasesOptions;
  #owed: HeldLease[] = [];

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  release(held: HeldLease): void {
    const { connection, service } = this.#options;
    const { epoch, announcement } = service();
    if (epoch === null || !connection.isUp) this.#owed.push(held);
    // A clear drops every lease of the epochs before it; a `keep` drops none.
    else if (isSameEpoch(held.epoch, epoch) || announcement.action === 'keep') {
      this.releaseAt(connection.server, held.lease);
    }
  }

  /** Best effort: what is not released expires at the server. */
  releaseAt(server: Server, lease: Uint8Array): void {
    const timeoutMs = this.#options.releaseTimeoutMs;
    server.call((client) => client.release({ lease }, { timeoutMs })).catch(() => {});
  }

  /** The cache may be used again. */
  settle(): void {
    for (const held of this.#owed.splice(0)) this.release(held);
  }
}
