import { type Announcement, type Epoch, type Fault, faultFrom } from '../../../machines/index.ts';
import { isServing, type Server, type ServiceOptions } from './service.ts';

export interface HeldLease {
  /** The epoch in which it was given. */
  readonly epoch: Epoch;
  readonly lease: Uint8Array;
}

export interface LeasesOptions extends ServiceOptions {
  readonly releaseTimeoutMs: number;
  /** Told of an answer that may speak against the registration. */
  readonly reportFault: (fault: Fault) => void;
}

/** Gives leases back that nobody will load: at once, or when a server is in service that may still hold them. */
export class Leases {
  #options: LeasesOptions;
  #owed: HeldLease[] = [];
  /** Counter of the epoch that the registration in service was made in: the clear before it dropped every older lease. */
  #registeredFrom = 0;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  release(held: HeldLease): void {
    const { connection, service } = this.#options;
    if (service().epoch === null || !connection.isUp) this.#owed.push(held);
    else if (held.epoch.counter >= this.#registeredFrom) this.releaseAt(connection.server, held.lease);
  }

  /**
   * Best effort: what is not released expires at the server. A server that does not know the lease may have lost more
   * than that.
   */
  releaseAt(server: Server, lease: Uint8Array): void {
    const { releaseTimeoutMs: timeoutMs, service, reportFault } = this.#options;
    const { epoch } = service();
    server
      .call((client) => client.release({ lease }, { timeoutMs }))
      .catch((error) => {
        const fault = faultFrom(error);
        if (fault.kind === 'forgotten' && epoch !== null && isServing(service(), epoch)) reportFault(fault);
      });
  }

  /** The cache may be used again. A `keep` dropped no lease. */
  reconcile({ action, epoch }: Announcement): void {
    if (action !== 'keep') this.#registeredFrom = epoch.counter;
    for (const held of this.#owed.splice(0)) this.release(held);
  }
}
