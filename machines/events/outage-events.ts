/** How outages and generations begin and end: what changes in the scheduler's context, and what it emits. Pure. */

import type { Evidence } from '../evidence.ts';
import type { Announcement } from '../ranks/messages.ts';
import type { SchedulerDomainEvent } from './domain-events.ts';
import { type Generation, NO_CLUES, type Outage, type ServerClues, serverEndOf } from './outage.ts';

export interface OutageContext {
  readonly announcement: Announcement;
  /** The newest observation that something was lost or went wrong. */
  readonly evidence: Evidence | null;
  /** `null` in service, and once the machine stops. */
  readonly outage: Outage | null;
  /** The generation under way. */
  readonly generation: Generation | null;
  readonly clues: ServerClues;
}

export interface Effect {
  readonly change: Partial<OutageContext>;
  readonly events: readonly SchedulerDomainEvent[];
}

const NOTHING: Effect = { change: {}, events: [] };

/** For every state out of service, also where the outage has begun. */
export function outOfService(context: OutageContext, isPlanned: boolean): Effect {
  const failed = generationFailed(context);
  if (context.outage !== null) return failed;
  const { announcement, evidence } = context;
  const epochBefore = announcement.epoch.counter;
  const cause = epochBefore === 0 ? 'start' : isPlanned ? 'planned' : (evidence?.of ?? 'link');
  const fault = cause === 'start' || cause === 'planned' ? null : (evidence?.fault ?? null);
  const outage = { cause, fault, epochBefore, dials: 0, generations: 0 } as const;
  return { change: { outage }, events: [{ type: 'outage.began', outage }] };
}

export function inService(context: OutageContext): Effect {
  const { generation } = context;
  const published: readonly SchedulerDomainEvent[] =
    generation === null ? [] : [{ type: 'generation.ended', generation, outcome: 'published', fault: null }];
  return over(context, 'connected', { change: { generation: null, clues: NO_CLUES }, events: published });
}

export function stopped(context: OutageContext): Effect {
  return over(context, 'stopped', generationFailed(context));
}

export function generationBegan(context: OutageContext, announcement: Announcement): Effect {
  const { outage } = context;
  const failed = generationFailed(context);
  const action = announcement.action === 'keep' ? 'keep' : 'register';
  const generation = { epoch: announcement.epoch.counter, action } as const;
  return {
    change: {
      announcement,
      generation,
      outage: outage && { ...outage, generations: outage.generations + 1 },
    },
    events: [...failed.events, { type: 'generation.began', generation }],
  };
}

export function generationFailed({ generation, evidence }: OutageContext): Effect {
  if (generation === null) return NOTHING;
  const fault = evidence?.fault ?? null;
  return {
    change: { generation: null },
    events: [{ type: 'generation.ended', generation, outcome: 'failed', fault }],
  };
}

function over(context: OutageContext, outcome: 'connected' | 'stopped', { change, events }: Effect): Effect {
  const { outage, clues, announcement } = context;
  if (outage === null) return { change, events };
  const { epoch, action } = announcement;
  const isKept = epoch.counter === outage.epochBefore || action === 'keep';
  const serverEnd = serverEndOf(outage, clues, isKept);
  const ended = { ...outage, outcome, serverEnd, epochAfter: epoch.counter };
  return { change: { ...change, outage: null }, events: [...events, { type: 'outage.ended', outage: ended }] };
}
