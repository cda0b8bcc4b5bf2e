/**
 * What the machines emit: what happened, in the words of the domain. XState delivers these after the step and before
 * subscribers see its state, never twice, and without a time: the façade stamps them. Logs, metrics and `status` follow
 * them and need not know any state.
 */
import type { Evidence } from '../evidence.ts';
import type { Fault, LinkEndCause } from '../faults.ts';
import type { RankOutcome, ReportedHeld } from '../ranks/messages.ts';
import type { NoProof, Proof } from '../ranks/proof.ts';
import type { EndedOutage, Generation, Outage } from './outage.ts';

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

/** How a dial ended: `abandoned` where something else was to be done before it did. */
export type DialOutcome = 'opened' | 'timedOut' | 'abandoned' | LinkEndCause;

export type DialEvent = { readonly type: 'dial.ended'; readonly outcome: DialOutcome };

/** The server has not answered for `stalledAfterMs`; it is waited for. */
export type StalledEvent = {
  readonly type: 'registration.stalled';
  readonly call: 'RegisterContextBatch' | 'UnregisterContext';
};

export type SchedulerDomainEvent =
  | PassedOnEvent
  | DialEvent
  /** The cache cannot be used from now on. Also told at the start. */
  | { readonly type: 'outage.began'; readonly outage: Outage }
  /** The cache is in use again, or the connector stops. */
  | { readonly type: 'outage.ended'; readonly outage: EndedOutage }
  /** The ranks are told to register, or to keep what is registered. */
  | { readonly type: 'generation.began'; readonly generation: Generation }
  /** All ranks are registered and the server says so, or the generation has failed: `fault` says why. */
  | {
      readonly type: 'generation.ended';
      readonly generation: Generation;
      readonly outcome: 'published' | 'failed';
      readonly fault: Fault | null;
    }
  /** Something was lost or went wrong, beside the dials. */
  | { readonly type: 'evidence.found'; readonly evidence: Evidence }
  /** The server was asked whether the registration in service is still there. */
  | { readonly type: 'audit.ended'; readonly outcome: 'sealed' | 'refuted' | 'failed' }
  | StalledEvent
  /** The server's version is not allowed, or not fit for a rank: it is asked for its version now and then. */
  | { readonly type: 'version.refused'; readonly fault: Fault | null }
  /** A rank's report was over when it arrived: of a process that was replaced, or overtaken by a later one. */
  | { readonly type: 'report.late'; readonly rank: number }
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
  /** Loads and saves have had no end for long although the server answers; their blocks stay held. */
  | { readonly type: 'transfers.stuck'; readonly loads: number; readonly saves: number; readonly blocks: number }
  /** So many blocks have been held for long, and nothing but an answer will prove that the server is done with them. */
  | { readonly type: 'blocks.heldUnprovably'; readonly blocks: number; readonly proof: NoProof }
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

/** What one rank does about one announced epoch. */
export interface RankRegistration {
  /** The epoch's counter. */
  readonly epoch: number;
  readonly action: 'register' | 'keep';
}

/** `superseded`: another announcement came, or the rank stopped, before it was answered. */
export type RegistrationOutcome = Exclude<RankOutcome, 'pending' | 'stopped'> | 'superseded';

export type WorkerDomainEvent =
  | PassedOnByRank
  | DialEvent
  /** This rank moves nothing from now on. Also told at the start. */
  | { readonly type: 'outage.began'; readonly fault: Fault | null }
  | { readonly type: 'outage.ended'; readonly outcome: 'connected' | 'stopped' }
  | { readonly type: 'registration.began'; readonly registration: RankRegistration }
  | {
      readonly type: 'registration.ended';
      readonly registration: RankRegistration;
      readonly outcome: RegistrationOutcome;
      readonly fault: Fault | null;
    }
  /** The server no longer has what it had confirmed. */
  | { readonly type: 'registration.lost'; readonly fault: Fault | null }
  | StalledEvent
  /** The server answered a Register of an epoch that was over by then. */
  | { readonly type: 'answer.late' }
  /** Something else than before would prove the death of the server that holds this rank's memory, or nothing would any more. */
  | { readonly type: 'proof.changed'; readonly proof: Proof; readonly before: Proof | null };
