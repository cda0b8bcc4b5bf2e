import { type Fault, faultFrom } from '../../machines/index.ts';
import { patientTimer } from '../patient-timer.ts';
import type { ServerLink } from '../rpc/connection.ts';
import { RpcError } from '../rpc/rpc-error.ts';

/** What a transfer moves. A load writes the blocks, a save reads them. */
export interface TransferSubject {
  readonly kind: 'load' | 'save';
  readonly requestId: string;
  readonly blockIds: readonly number[];
}

/**
 * What ended a transfer.
 * - `record`: the server wrote the load's end into its shared-memory record
 * - `answer`: the server answered the RPC, or never received it
 * - `strongProof`, `weakProof`: the server is dead
 * - `unsafeRelease`: the budget or the connector's stop; the server may still touch the blocks
 */
export type TransferEnd = 'record' | 'answer' | 'strongProof' | 'weakProof' | 'unsafeRelease';

export type TransferOutcome =
  | { readonly kind: 'succeeded'; readonly by: TransferEnd }
  | { readonly kind: 'failed'; readonly by: TransferEnd; readonly fault: Fault };

/** Blocks that were handed back while the server may still touch them: a late copy may land in whatever they hold next. */
export interface UnsafeRelease extends TransferSubject {
  /** Since the transfer began. */
  readonly ageMs: number;
  /** For people. */
  readonly reason: string;
}

export interface TransferEvents {
  /** Once for each transfer, with the milliseconds since it began. */
  readonly ended: (outcome: TransferOutcome, subject: TransferSubject, tookMs: number) => void;
  /** The RPC failed while the link lives: perhaps evidence. */
  readonly refused: (fault: Fault) => void;
  /** The server said yes and did not do it, on a link that lives: the registration itself is in doubt. */
  readonly refuted: (fault: Fault) => void;
  /** At most once: from now on only a record, an answer or proof of death says when the blocks are free. */
  readonly suspected: (subject: TransferSubject) => void;
  /** At most once, and only after `suspected`. */
  readonly releasedUnsafely: (release: UnsafeRelease) => void;
}

/**
 * One load or save from its submission until it is certain that the server does not touch the blocks any more: by its
 * answer, by proof of death, or, unsafely, by the end of the budget. A broken link alone ends nothing: the server may
 * live and copy. It is never sent twice.
 */
export class Transfer {
  readonly subject: TransferSubject;
  #server: ServerLink;
  #events: TransferEvents;
  #unwatch: () => void;
  #cancelBudget: () => void;
  #release: () => void;
  #startedMs = performance.now();
  #state: 'underWay' | 'suspected' | 'releasedUnsafely' | 'over' = 'underWay';

  /** `release` frees what the transfer holds; it runs once, before `ended`. */
  constructor(
    subject: TransferSubject,
    server: ServerLink,
    timeoutMs: number,
    events: TransferEvents,
    release: () => void,
  ) {
    this.subject = subject;
    this.#server = server;
    this.#events = events;
    this.#release = release;
    this.#unwatch = server.watch({
      lost: () => this.#suspect(),
      dead: (proof) => {
        const fault = { kind: 'unreachable', message: `the server is dead (${proof} proof)` } as const;
        this.fail(fault, proof === 'strong' ? 'strongProof' : 'weakProof');
      },
    });
    this.#cancelBudget = patientTimer(timeoutMs, () => this.#giveUp(timeoutMs));
  }

  succeed(by: TransferEnd): void {
    this.#end({ kind: 'succeeded', by });
  }

  fail(fault: Fault, by: TransferEnd): void {
    this.#end({ kind: 'failed', by, fault });
  }

  /** The RPC failed: final where the server itself said so or never heard of it. Otherwise nobody knows. */
  rpcFailed(error: unknown): void {
    if (this.#state === 'over') return;
    const fault = faultFrom(error);
    if (this.#server.link.end === null) this.#events.refused(fault);
    if (error instanceof RpcError && error.isFinal) this.fail(fault, 'answer');
    else this.#suspect();
  }

  /** Hands the blocks back although nothing proves that the server is done with them. The transfer is still followed. */
  releaseUnsafely(reason: string): void {
    this.#suspect();
    if (this.#state !== 'suspected') return;
    this.#state = 'releasedUnsafely';
    this.#events.releasedUnsafely({ ...this.subject, ageMs: performance.now() - this.#startedMs, reason });
  }

  /** Gives the transfer up without knowing. */
  abandon(fault: Fault): void {
    this.releaseUnsafely(fault.message);
    this.fail(fault, 'unsafeRelease');
  }

  /** A server that answers pings and finishes no work shows it here only. */
  #giveUp(timeoutMs: number): void {
    const message = `unknown outcome after ${timeoutMs} ms: the server may still touch the blocks`;
    const fault = { kind: 'timedOut', message } as const;
    if (this.#server.link.end === null) this.#events.refuted(fault);
    this.abandon(fault);
  }

  #suspect(): void {
    if (this.#state !== 'underWay') return;
    this.#state = 'suspected';
    this.#events.suspected(this.subject);
  }

  #end(outcome: TransferOutcome): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#cancelBudget();
    this.#unwatch();
    this.#release();
    this.#events.ended(outcome, this.subject, performance.now() - this.#startedMs);
  }
}
