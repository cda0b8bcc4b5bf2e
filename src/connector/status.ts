import { isDeepStrictEqual } from 'node:util';
import type { StateValue } from 'xstate';
import {
  type BreakerName,
  type Epoch,
  type Fault,
  type FencingReason,
  type OutageCause,
  type Proof,
  pathFrom,
  stateOf,
} from '../../machines/index.ts';
import type { SchedulerConnectorEvent, WorkerConnectorEvent } from '../telemetry/event-times.ts';
import { wallTimeMs } from '../wall-time.ts';
import { Listeners } from './callbacks.ts';

/** What an operator wants to know of one connector. Callers of the cache need none of it: they get outcomes. */
export interface ConnectorStatus {
  readonly state: ConnectorState;
  /** The state with its parts, such as `reRegistering.sealing.waiting`. */
  readonly path: string;
  /** The announced epoch. Before the first: `null` at a rank, counter 0 at the scheduler. */
  readonly epoch: Epoch | null;
  /** When this state was entered, in milliseconds of wall time with fraction. */
  readonly sinceMs: number;
  /** The newest observation of something lost or refused; it stays after the recovery. */
  readonly fault: Fault | null;
  /** Work that is turned off because the server refuses it, although the registration is good. Empty at a rank. */
  readonly openBreakers: readonly OpenBreaker[];
  /** Ranks without which nothing is promised and nothing saved. Empty at a rank. */
  readonly missedRanks: readonly MissedRank[];
  /** The last time that this rank had the server ended; it stays after the recovery. `null`: never, and at the scheduler. */
  readonly fencing: LastFencing | null;
  /** What would prove the death of the server, as far as somebody looked: at a rank its own, at the scheduler of all ranks. */
  readonly proofs: readonly RankProof[];
  /** Preemptions of this rank that wait for proof longer than `preemptionToldAfterMs`. 0 at the scheduler. */
  readonly heldUpPreemptions: number;
  /** So much memory is held that nothing is saved and queries miss. `null`: less, and at a rank. */
  readonly heldLimit: HeldLimit | null;
  /** The time since which the cache is not used, also before the first service. `null` in service and once it stops. */
  readonly outage: OutageUnderWay | null;
}

export interface OutageUnderWay {
  /** `null` at a rank. */
  readonly cause: OutageCause | null;
  /** The first evidence. `null` where there is none: at the start, and after a hand-back. */
  readonly fault: Fault | null;
  /** When it began, in milliseconds of wall time with fraction. */
  readonly sinceMs: number;
}

export interface LastFencing {
  readonly by: 'kill' | 'command';
  /** The processes that held this rank's memory. Empty: none was seen, and the command had to know by itself. */
  readonly pids: readonly number[];
  /** `silence`: nothing was heard of the server; `stuck`: a load or save did not end although the server answered. */
  readonly reason: FencingReason;
  /** When, in milliseconds of wall time with fraction. */
  readonly atMs: number;
}

export interface RankProof {
  readonly rank: number;
  readonly proof: Proof;
}

export interface HeldLimit {
  /** The one that reached the limit. */
  readonly rank: number;
  /** What it holds, why there is no proof, and what to do. */
  readonly fault: Fault;
  /** When it was reached, in milliseconds of wall time with fraction. */
  readonly sinceMs: number;
}

export interface MissedRank {
  readonly rank: number;
  /** What it said last, or that it said nothing. */
  readonly fault: Fault;
  /** When it was missed, in milliseconds of wall time with fraction. */
  readonly sinceMs: number;
}

export interface OpenBreaker {
  readonly breaker: BreakerName;
  /** What the server said when it opened. */
  readonly fault: Fault;
  /** When it opened, in milliseconds of wall time with fraction. */
  readonly sinceMs: number;
}

export type ConnectorState =
  | 'connected'
  | 'degraded'
  | 'reconnecting'
  | 'reRegistering'
  | 'incompatible'
  | 'drained'
  | 'stopping'
  | 'stopped';

/**
 * Follows a machine and tells its listeners when its state, its epoch or a proof changes, or when it emits something; steps inside a
 * state are no change.
 */
export class StatusStore {
  #status: ConnectorStatus;
  #listeners = new Listeners<ConnectorStatus>();

  constructor(value: StateValue, epoch: Epoch | null) {
    const path = pathFrom(value);
    this.#status = {
      state: stateOf(path) as ConnectorState,
      path,
      epoch,
      fault: null,
      sinceMs: wallTimeMs(),
      openBreakers: [],
      missedRanks: [],
      proofs: [],
      heldUpPreemptions: 0,
      fencing: null,
      heldLimit: null,
      outage: null,
    };
  }

  get status(): ConnectorStatus {
    return this.#status;
  }

  listen(listener: (status: ConnectorStatus) => void): () => void {
    return this.#listeners.add(listener);
  }

  post(
    value: StateValue,
    epoch: Epoch | null,
    fault: Fault | null,
    proofs: readonly RankProof[],
    outage: Pick<OutageUnderWay, 'cause' | 'fault'> | null,
  ): void {
    const last = this.#status;
    const path = pathFrom(value);
    const state = stateOf(path) as ConnectorState;
    const isOtherProof = !isDeepStrictEqual(proofs, last.proofs);
    const isChanged = state !== last.state || epoch !== last.epoch || isOtherProof;
    const sinceMs = state === last.state ? last.sinceMs : wallTimeMs();
    this.#status = {
      ...last,
      state,
      path,
      epoch,
      fault,
      sinceMs,
      proofs: isOtherProof ? proofs : last.proofs,
      outage: outage && (last.outage ?? { cause: outage.cause, fault: outage.fault, sinceMs }),
    };
    if (isChanged) this.#listeners.emit(this.#status);
  }

  /** Takes what a machine emitted. */
  note(event: SchedulerConnectorEvent | WorkerConnectorEvent): void {
    const change = noted(this.#status, event);
    if (change === null) return;
    this.#status = { ...this.#status, ...change };
    this.#listeners.emit(this.#status);
  }
}

function noted(
  { openBreakers, missedRanks, heldUpPreemptions }: ConnectorStatus,
  event: SchedulerConnectorEvent | WorkerConnectorEvent,
): Partial<ConnectorStatus> | null {
  const sinceMs = event.atMs;
  switch (event.type) {
    case 'breaker.opened': {
      const { breaker, fault } = event;
      return { openBreakers: [...openBreakers, { breaker, fault, sinceMs }] };
    }
    case 'breaker.closed':
      return { openBreakers: openBreakers.filter(({ breaker }) => breaker !== event.breaker) };
    case 'rank.missed': {
      const { rank, fault } = event;
      return { missedRanks: [...missedRanks.filter((other) => other.rank !== rank), { rank, fault, sinceMs }] };
    }
    case 'rank.returned':
      return { missedRanks: missedRanks.filter(({ rank }) => rank !== event.rank) };
    case 'server.fenced': {
      const { by, pids, reason } = event;
      return { fencing: { by, pids, reason, atMs: sinceMs } };
    }
    case 'heldLimit.reached': {
      const { rank, fault } = event;
      return { heldLimit: { rank, fault, sinceMs } };
    }
    case 'heldLimit.left':
      return { heldLimit: null };
    case 'preemption.heldUp':
      return { heldUpPreemptions: heldUpPreemptions + 1 };
    case 'preemption.ended':
      return { heldUpPreemptions: heldUpPreemptions - 1 };
    default:
      return null;
  }
}
