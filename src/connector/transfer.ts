import type { Fault } from '../../machines/index.ts';
import type { ServerLink } from '../rpc/connection.ts';

/** How a load or a save ended. */
export type TransferOutcome =
  | { readonly kind: 'succeeded' }
  /** `isUnsafe`: nothing proves that the server will not touch the blocks any more. */
  | { readonly kind: 'failed'; readonly fault: Fault; readonly isUnsafe: boolean };

export interface TransferEvents {
  /** Once for each transfer. */
  readonly ended: (outcome: TransferOutcome) => void;
  /** The server answered no. */
  readonly refused: (fault: Fault) => void;
}

/**
 * One load or save from its submission until it is certain that the server does not touch the blocks any more: by its
 * answer, by proof of death, or, unsafely, by the end of the budget. A broken link alone ends nothing: the server may
 * live and copy. It is never sent twice.
 */
export class Transfer {
  #server: ServerLink;
  #events: TransferEvents;
  #unwatch: () => void;
  #budgetTimer: NodeJS.Timeout;
  #release: () => void;
  #isOver = false;

  /** `release` frees what the transfer holds; it runs once, before `ended`. */
  constructor(server: ServerLink, timeoutMs: number, events: TransferEvents, release: () => void = () => {}) {
    this.#server = server;
    this.#events = events;
    this.#release = release;
    this.#unwatch = server.watch({
      down: () => {},
      dead: (proof) => this.fail({ kind: 'unreachable', message: `the server is dead (${proof} proof)` }),
    });
    this.#budgetTimer = setTimeout(() => {
      const message = `unknown outcome after ${timeoutMs} ms: the server may still touch the blocks`;
      this.#end({ kind: 'failed', fault: { kind: 'timedOut', message }, isUnsafe: true });
    }, timeoutMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  succeed(): void {
    this.#end({ kind: 'succeeded' });
  }

  fail(fault: Fault): void {
    this.#end({ kind: 'failed', fault, isUnsafe: false });
  }

  /** The RPC failed: final where the server itself said so; with the link gone nobody knows. */
  rpcFailed(fault: Fault): void {
    if (this.#isOver || this.#server.link.end !== null) return;
    this.#events.refused(fault);
    this.fail(fault);
  }

  /** Gives the transfer up without knowing. */
  abandon(): void {
    const fault = { kind: 'unreachable', message: 'the connector was stopped' } as const;
    this.#end({ kind: 'failed', fault, isUnsafe: true });
  }

  #end(outcome: TransferOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#budgetTimer);
    this.#unwatch();
    this.#release();
    this.#events.ended(outcome);
  }
}
