/** How a rank's outages and registrations begin and end: what changes in its context, and what it emits. Pure. */

import type { Fault } from '../faults.ts';
import type { Announcement, RankOutcome } from '../ranks/messages.ts';
import type { RankRegistration, RegistrationOutcome, WorkerDomainEvent } from './domain-events.ts';

export interface RankCourse {
  /** The newest one that arrived. `null` before the first. */
  readonly announcement: Announcement | null;
  /** What this rank can say about the announced epoch. */
  readonly outcome: RankOutcome;
  /** The newest observation that something was lost or refused. */
  readonly fault: Fault | null;
  readonly isOutOfService: boolean;
  /** What is being done about the announced epoch. `null`: nothing, or it is done. */
  readonly registration: RankRegistration | null;
}

export interface RankEffect {
  readonly change: Partial<RankCourse>;
  readonly events: readonly WorkerDomainEvent[];
}

const NOTHING: RankEffect = { change: {}, events: [] };

/** For every state out of service, also where the outage has begun. A rank that was told to stop loses nothing. */
export function rankLeftService({ announcement, fault, isOutOfService }: RankCourse): RankEffect {
  if (isOutOfService || announcement?.action === 'stop') return NOTHING;
  return { change: { isOutOfService: true }, events: [{ type: 'outage.began', fault }] };
}

export function rankOutageEnded({ isOutOfService }: RankCourse, outcome: 'connected' | 'stopped'): RankEffect {
  if (!isOutOfService) return NOTHING;
  return { change: { isOutOfService: false }, events: [{ type: 'outage.ended', outcome }] };
}

/** `next`: after an announcement that is obeyed. */
export function rankWasTold({ registration: before, fault }: RankCourse, next: RankCourse): RankEffect {
  const superseded = before === null ? [] : [ended(before, 'superseded', fault)];
  const { action, epoch } = next.announcement ?? { action: 'wait' };
  if (epoch === undefined || (action !== 'register' && action !== 'keep')) {
    return { change: { registration: null }, events: superseded };
  }
  const registration = { epoch: epoch.counter, action } as const;
  const began: WorkerDomainEvent = { type: 'registration.began', registration };
  if (next.outcome !== 'failed') return { change: { registration }, events: [...superseded, began] };
  // A `keep` is refused in the same breath by a rank that has nothing to vouch for.
  return { change: { registration: null }, events: [...superseded, began, ended(registration, 'failed', next.fault)] };
}

/** `next`: with what became of the registration. */
export function rankWasAnswered(before: RankCourse, next: RankCourse): RankEffect {
  const { outcome, fault } = next;
  if (outcome === 'pending') return NOTHING;
  if (before.registration !== null) {
    const end = outcome === 'stopped' ? 'superseded' : outcome;
    return { change: { registration: null }, events: [ended(before.registration, end, fault)] };
  }
  if (outcome !== 'lost' || before.outcome === 'lost') return NOTHING;
  return { change: {}, events: [{ type: 'registration.lost', fault }] };
}

function ended(registration: RankRegistration, outcome: RegistrationOutcome, fault: Fault | null): WorkerDomainEvent {
  return { type: 'registration.ended', registration, outcome, fault };
}
