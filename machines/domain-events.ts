/**
 * What the machines emit: what happened, in the words of the domain. XState delivers these after the step and before
 * subscribers see its state, never twice, and without a time: the façade stamps them. Logs, metrics and `status` follow
 * them and need not know any state.
 */
import type { Fault } from './faults.ts';
import type { ReportedHeld } from './messages.ts';
import type { NoProof, Proof } from './proof.ts';

/** What a breaker turns off while it is open. */
export type BreakerName = 'saves' | 'loads' | 'queries';

/** What is observed beside the scheduler's machine or below it; it passes this on. */
export type PassedOnEvent =
  /** The server refuses this work as such: none is given to it but for a try now and then. */
  | { readonly type: 'breaker.opened'; readonly breaker: BreakerName; readonly fault: Fault }
  /** A try was well: the work goes on. */
  | { readonly type: 'breaker.closed'; readonly breaker: BreakerName }
  /** A load of these blocks failed twice: it is their own fault, and they are no hits for a while. */
  | { readonly type: 'blocks.withdrawn'; readonly blocks: number; readonly fault: Fault };

export type SchedulerDomainEvent =
  | PassedOnEvent
  /** The server refuses each registration in the same words: the next one is made after `retryMs` milliseconds. */
  | { readonly type: 'registration.parked'; readonly fault: Fault; readonly retryMs: number }
  /** A clear, or the end of a session, goes ahead although these ranks did not say that they are quiet. */
  | { readonly type: 'wait.unanswered'; readonly ranks: readonly number[] }
  /** A rank does not serve, or is not heard: nothing is promised and nothing saved without it. */
  | { readonly type: 'rank.missed'; readonly rank: number; readonly fault: Fault }
  /** It serves again, or another process does in its place. */
  | { readonly type: 'rank.returned'; readonly rank: number }
  /** A rank holds so many blocks for a server that is silent or gone that no more are put at risk: nothing is saved, queries miss. */
  | { readonly type: 'heldLimit.reached'; readonly rank: number; readonly held: ReportedHeld; readonly fault: Fault }
  /** No rank does any more. */
  | { readonly type: 'heldLimit.left' };

/** Why a server was fenced: no link of the rank brought a byte, or what is in doubt does not end although the server answers. */
export type FencingReason = 'silence' | 'stuck';

/** What is observed beside a rank's machine; it passes this on. */
export type PassedOnByRank =
  /** A server that may still touch blocks of this rank was killed, or the host's command for that was started. */
  | {
      readonly type: 'server.fenced';
      readonly by: 'kill' | 'command';
      /** The processes that hold our memory. Empty where none is seen, which only a command can do anything about. */
      readonly pids: readonly number[];
      readonly reason: FencingReason;
      /** For how long that was so, in milliseconds. */
      readonly afterMs: number;
    }
  /**
   * Other ranks registered on this device at the same moment, so that all these pairs of copy threads have to end before it is
   * proved that one registration is over.
   */
  | { readonly type: 'proof.delayed'; readonly pairs: number }
  /** It should have been fenced and was not. */
  | { readonly type: 'fencing.failed'; readonly problem: string }
  /** A preemption still waits for proof that the server is done with the blocks of these requests. */
  | {
      readonly type: 'preemption.heldUp';
      readonly requests: number;
      readonly blocks: number;
      readonly waitedMs: number;
    }
  /** One that was told of waits no longer: there was proof, or the host gave it up. */
  | { readonly type: 'preemption.ended' };

export type WorkerDomainEvent =
  | PassedOnByRank
  /** Something else than before would prove the death of the server that holds this rank's memory, or nothing would any more. */
  | { readonly type: 'proof.changed'; readonly proof: Proof; readonly before: Proof | null }
  /** Blocks have been held for long, and nothing but an answer will prove that the server is done with them. */
  | { readonly type: 'blocks.heldUnprovably'; readonly blocks: number; readonly proof: NoProof };
