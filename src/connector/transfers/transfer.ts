import { type Budgets, type Fault, faultFrom } from '../../../machines/index.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { ServerLink } from '../../rpc/connection.ts';
import type { DeathWatch } from '../../rpc/holder/death-watch.ts';
import { RpcError } from '../../rpc/rpc-error.ts';

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
 * - `threadsGone`: the threads that copied for its registration have ended, and the process lives
 * - `unsafeRelease`: `unsafeReleaseAfterMs` or the connector's stop; the server may still touch the blocks
 */
export type TransferEnd = 'record' | 'answer' | 'strongProof' | 'weakProof' | 'threadsGone' | 'unsafeRelease';

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
  /** Once, before anything is sent. */
  readonly begun: (transfer: Transfer) => void;
  /** Once for each transfer, with the milliseconds since it began. */
  readonly ended: (outcome: TransferOutcome, subject: TransferSubject, tookMs: number) => void;
  /** The RPC failed while the link lives: perhaps evidence. */
  readonly refused: (fault: Fault) => void;
  /** The server said yes and did not do it, on a link that lives: the registration itself is in doubt. */
  readonly refuted: (fault: Fault) => void;
  /** From now on {@link Transfer.isInDoubt}; perhaps more than once. */
  readonly doubted: () => void;
  /** A load was copied, behind which the server had taken these: its queue of loads has moved past them. */
  readonly overtook: (earlier: readonly Transfer[]) => void;
  /** At most once: from now on only a record, an answer or proof of death says when the blocks are free. */
  readonly inDoubt: (subject: TransferSubject) => void;
  /** At most once, and only after `inDoubt`. */
  readonly releasedUnsafely: (release: UnsafeRelease) => void;
  /** After an unsafe release: the server itself said no after all, so nothing came of it. */
  readonly refusedAfterRelease: () => void;
}

/**
 * One load or save from its submission until it is certain that the server does not touch the blocks any more: by its
 * answer or by proof. Neither a broken link nor time ends it: the server may live and copy. It is never sent twice.
 */
export class Transfer {
  readonly subject: TransferSubject;
  /** Of the server that it was given to. */
  readonly death: DeathWatch;
  #server: ServerLink;
  #events: TransferEvents;
  #unwatch: () => void;
  #cancelBudgets: (() => void)[] = [];
  #release: () => void;
  #startedMs = performance.now();
  #state: 'underWay' | 'inDoubt' | 'over' = 'underWay';
  #isReleased = false;
  /** No answer will come, or none has come for long. */
  #isUnanswered = false;

  /** `release` frees what the transfer holds; it runs once, before `ended`. */
  constructor(
    subject: TransferSubject,
    server: ServerLink,
    { transferStalledAfterMs, unsafeReleaseAfterMs }: Budgets,
    events: TransferEvents,
    release: () => void,
  ) {
    this.subject = subject;
    this.#server = server;
    this.death = server.death;
    this.#events = events;
    this.#release = release;
    events.begun(this);
    this.#unwatch = server.watch({
      lost: () => this.#putInDoubt(),
      gone: () => this.#doubt(),
      dead: (proof) => {
        const fault = { kind: 'unreachable', message: `the server is dead (${proof} proof)` } as const;
        this.fail(fault, proof === 'strong' ? 'strongProof' : 'weakProof');
      },
    });
    const after = (delayMs: number, then: () => void) => this.#cancelBudgets.push(ioFirstTimer(delayMs, then));
    after(transferStalledAfterMs, () => this.#stall());
    if (unsafeReleaseAfterMs !== null) after(unsafeReleaseAfterMs, () => this.#giveUp(unsafeReleaseAfterMs));
  }

  /** Only a record or proof will end it, as far as is known: a link that is read on may still bring the answer. */
  get isInDoubt(): boolean {
    return this.#state === 'inDoubt' && (this.#isUnanswered || this.#server.isGone);
  }

  /** In doubt although the link that it was sent on lives. */
  get isStuck(): boolean {
    return this.#state === 'inDoubt' && this.#server.link.end === null;
  }

  /** Whether its link or its answer is gone, for good or for now. */
  get isSuspected(): boolean {
    return this.#state === 'inDoubt';
  }

  /** Nobody waits for its answer any more. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  succeed(by: TransferEnd): void {
    this.#end({ kind: 'succeeded', by });
  }

  fail(fault: Fault, by: TransferEnd): void {
    this.#end({ kind: 'failed', by, fault });
  }

  /** The RPC failed: final where the server itself said so or never heard of it. Otherwise nobody knows. */
  rpcFailed(error: unknown): void {
    const isFinal = error instanceof RpcError && error.isFinal;
    if (isFinal && this.#isReleased) this.#events.refusedAfterRelease();
    if (this.#state === 'over') return;
    const fault = faultFrom(error);
    if (this.#server.link.end === null) this.#events.refused(fault);
    if (isFinal) {
      this.fail(fault, 'answer');
      return;
    }
    this.#isUnanswered = true;
    this.#doubt();
  }

  /** Hands the blocks back although nothing proves that the server is done with them. The transfer is still followed. */
  releaseUnsafely(reason: string): void {
    this.#putInDoubt();
    if (this.#state !== 'inDoubt' || this.#isReleased) return;
    this.#isReleased = true;
    this.#events.releasedUnsafely({ ...this.subject, ageMs: performance.now() - this.#startedMs, reason });
  }

  /** Gives the transfer up without knowing. */
  abandon(fault: Fault): void {
    this.releaseUnsafely(fault.message);
    this.fail(fault, 'unsafeRelease');
  }

  /** A server that answers pings and finishes no work shows it here only. */
  #stall(): void {
    this.#isUnanswered = true;
    this.#doubt();
  }

  /** For a host that has declared a time; where the link lives, it is evidence too. */
  #giveUp(afterMs: number): void {
    const message = `unknown outcome after ${afterMs} ms: the server may still touch the blocks`;
    const fault = { kind: 'timedOut', message } as const;
    if (this.#server.link.end === null) this.#events.refuted(fault);
    this.abandon(fault);
  }

  #doubt(): void {
    if (this.#state === 'over') return;
    this.#putInDoubt();
    this.#events.doubted();
  }

  #putInDoubt(): void {
    if (this.#state !== 'underWay') return;
    this.#state = 'inDoubt';
    this.#events.inDoubt(this.subject);
  }

  #end(outcome: TransferOutcome): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    for (const cancel of this.#cancelBudgets) cancel();
    this.#unwatch();
    this.#release();
    this.#events.ended(outcome, this.subject, performance.now() - this.#startedMs);
  }
}
