import type { Budgets } from './budgets.ts';
import type { Evidence } from './evidence.ts';
import type { Fault } from './faults.ts';

/** How the wait before the next attempt grows; waits are drawn evenly from below their ceiling. */
interface Backoff {
  /** Ceiling of the first wait, in milliseconds. */
  readonly firstMs: number;
  /** Factor from one ceiling to the next. */
  readonly growth: number;
  /** Highest ceiling, in milliseconds. */
  readonly maxMs: number;
}

/** What the scheduler's machine knows of its attempts. */
interface Attempts {
  readonly failedAttempts: number;
  /** Of these, in a row, those whose link ended otherwise than by a refused dial. */
  readonly droppedDials: number;
  readonly failedGenerations: number;
  readonly evidence: Evidence | null;
  readonly budgets: Budgets;
}

/** What a rank's machine knows of its dials. */
interface RankDials {
  readonly failedDials: number;
  readonly briefLinks: number;
  readonly budgets: Budgets;
}

/** How long what is in service has lived, and what was there before it, in steps that grow fourfold. */
export interface Lives {
  readonly life: number;
  /** At its end. */
  readonly lastLife: number;
}

/** From one step of a life in service to the next. */
const LIFE_GROWTH = 4;
/** Steps after which every trouble is over. */
const LONGEST_LIFE = 3;

const lifeMs = (life: number) => (params: { readonly context: { readonly budgets: Budgets } }) =>
  LIFE_GROWTH ** (life - 1) * params.context.budgets.outlivedMs;

const outlive = (life: number) => ({ actions: { type: 'outlive', params: { life } } }) as const;

/** Delays of both machines: the steps of a life in service. */
export const lifeDelays = { livedBriefly: lifeMs(1), livedLonger: lifeMs(2), livedLong: lifeMs(LONGEST_LIFE) };

/** What both machines do at these steps. */
export const lifeSteps = {
  livedBriefly: outlive(1),
  livedLonger: outlive(2),
  livedLong: outlive(LONGEST_LIFE),
} as const;

/** A backoff is forgotten when this has lived several times as long as what was before it, or for long enough. */
export function hasOutlived({ life, lastLife }: Lives): boolean {
  return life > Math.min(lastLife, LONGEST_LIFE - 1);
}

function ceilingMs(failures: number, { firstMs, growth, maxMs }: Backoff): number {
  return Math.min(maxMs, firstMs * growth ** Math.max(0, failures - 1));
}

/**
 * Ceiling of the wait before the next dial, in milliseconds. By default 1 ms grows to 25 ms within about 3 s: a server
 * that comes back soon is met at once, one that stays away costs little.
 */
function redialCeilingMs(failedAttempts: number, budgets: Budgets): number {
  return ceilingMs(failedAttempts, { firstMs: budgets.redialFirstMs, growth: 1.005, maxMs: budgets.redialMaxMs });
}

/**
 * As {@link redialCeilingMs}, in milliseconds, but an attempt costs who listens more than a dial that nobody answers: one
 * that turns us away again and again is left alone for longer, by default 250 ms from the 15th time on. A server that
 * lives and took the session from us more than once is come back to as slowly as to a generation that failed.
 */
function attemptCeilingMs({ failedAttempts, droppedDials, failedGenerations, evidence, budgets }: Attempts): number {
  if (evidence?.of === 'session' && failedGenerations >= 2) return generationCeilingMs(failedGenerations, budgets);
  const { redialFirstMs: firstMs, droppedDialMaxMs: maxMs } = budgets;
  return Math.max(redialCeilingMs(failedAttempts, budgets), ceilingMs(droppedDials, { firstMs, growth: 1.5, maxMs }));
}

/** Ceiling of the wait before a rank's next dial, in milliseconds: ranks do not poll, they are told. */
function rankRedialCeilingMs({ failedDials, briefLinks, budgets }: RankDials): number {
  return ceilingMs(Math.max(failedDials, briefLinks), {
    firstMs: budgets.rankRedialFirstMs,
    growth: 2,
    maxMs: budgets.rankRedialMaxMs,
  });
}

/** Ceiling of the wait before the next generation, in milliseconds. Asked from the second failure on: after the first the
 * machine does not wait. */
function generationCeilingMs(failedGenerations: number, budgets: Budgets): number {
  const shape = { firstMs: budgets.voidBackoffFirstMs, growth: 2, maxMs: budgets.voidBackoffMaxMs };
  return ceilingMs(failedGenerations - 1, shape);
}

/**
 * Ceiling of the wait between a clear and the registrations that follow it, in milliseconds; 0 where there is none. One
 * thread of the server runs both, so what the clear took tells how many wait there: each instance spreads its `worldSize`
 * registrations over as many such times. Who knows that many share a server declares the spread.
 */
export function spreadCeilingMs(clearTookMs: number, worldSize: number, budgets: Budgets): number {
  const observedMs = clearTookMs < budgets.spreadFromMs ? 0 : Math.min(budgets.spreadMaxMs, clearTookMs * worldSize);
  const declaredMs = budgets.registrationSpreadMs > 1 ? budgets.registrationSpreadMs : 0;
  return Math.max(observedMs, declaredMs);
}

/** How long the server itself asked to be left alone, in milliseconds; 0 where it did not. */
export function pushbackMs(fault: Fault | null | undefined, budgets: Budgets): number {
  return Math.min(fault?.retryAfterMs ?? 0, budgets.pushbackMaxMs);
}

/** Draws from 0 to 1. */
export type Draw = () => number;

/** What a machine is given that draws nothing: each wait is as long as it can be. */
export const longestWait: Draw = () => 1;

interface SchedulerWaits extends Attempts {
  readonly clearTookMs: number;
  readonly worldSize: number;
}

/** Waits of the scheduler's machine that are drawn, in milliseconds; what the server asked for comes on top. */
export const schedulerBackoffs = (draw: Draw) => ({
  redialBackoff: ({ context }: { readonly context: SchedulerWaits }) =>
    draw() * attemptCeilingMs(context) + pushbackMs(context.evidence?.fault, context.budgets),
  generationBackoff: ({ context: { failedGenerations, evidence, budgets } }: { readonly context: SchedulerWaits }) =>
    draw() * generationCeilingMs(failedGenerations, budgets) + pushbackMs(evidence?.fault, budgets),
  registrationSpread: ({ context: { clearTookMs, worldSize, budgets } }: { readonly context: SchedulerWaits }) =>
    draw() * spreadCeilingMs(clearTookMs, worldSize, budgets),
});

interface RankWaits extends RankDials {
  readonly fault: Fault | null;
}

/** As {@link schedulerBackoffs}, of a rank's machine. */
export const rankBackoffs = (draw: Draw) => ({
  redialBackoff: ({ context }: { readonly context: RankWaits }) =>
    draw() * rankRedialCeilingMs(context) + pushbackMs(context.fault, context.budgets),
});
