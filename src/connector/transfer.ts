import { type Fault, faultFrom } from '../../machines/index.ts';
import type { ServerLink } from '../rpc/connection.ts';
import { RpcError } from '../rpc/rpc-error.ts';

/** How a load or a save ended. */
export type TransferOutcome =
  | { readonly kind: 'succeeded' }
  /** `isUnsafe`: nothing proves that the server will not touch the blocks any more. */
  | { readonly kind: 'failed'; readonly fault: Fault; readonly isUnsafe: boolean };

export interface TransferEvents {
  /** Once for each transfer. */
  readonly ended: (outcome: TransferOutcome) => void;
  /** The RPC failed while the link lives: perhaps evidence. */
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
      dead: (proof) => this.fail({ kind: 'unreachable', message: `the server is dead (${proof} proof)` }),
    });
    this.#budgetTimer = setTimeout(() => {
      const message = `unknown outcome after ${timeoutMs} ms: the server may still touch the blocks`;
      this.#end({ kind: 'failed', fault: { kind: 'timedOut', message }, isUnsafe: true });
    }, timeoutMs);
  }

  succeed(): void {
    this.#end({ kind: 'succeeded' });
  }

  fail(fault: Fault): void {
    this.#end({ kind: 'failed', fault, isUnsafe: false });
  }

  /** The RPC failed: final where the server itself said so or never heard of it. Otherwise nobody knows. */
  rpcFailed(error: unknown): void {
    if (this.#isOver) return;
    const fault = faultFrom(error);
    if (this.#server.link.end === null) this.#events.refused(fault);
    if (error instanceof RpcError && error.isFinal) this.fail(fault);
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
