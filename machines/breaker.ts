/**
 * Turns one kind of work off while the server refuses it as such, and tries one real piece of it ever more seldom. A
 * refusal of one piece says nothing about the registration, so nothing else stops.
 *
 * Invariants, each proved by a test of the same name:
 * - it opens only at as many refusals of one source, in the same words, as its threshold says, or at one of all work
 * - while it is open, one try at a time is admitted, and none before its wait is over
 * - it closes only when a try was well at every source that had refused
 */
import { assign, sendParent, setup } from 'xstate';
import type { Budgets } from './budgets.ts';
import type { BreakerName, PassedOnEvent } from './events/domain-events.ts';
import type { Fault } from './faults.ts';

export interface BreakerInput {
  readonly breaker: BreakerName;
  readonly budgets: Budgets;
}

export interface BreakerContext extends BreakerInput {
  /** How often each source refused since it last took a piece of work, by source and words. */
  readonly refusals: readonly Refusals[];
  readonly fault: Fault | null;
  /** Waits in a row, without a long calm between. */
  readonly waits: number;
}

interface Refusals {
  readonly source: string;
  readonly words: string;
  readonly count: number;
}

export type BreakerEvent =
  /** `source` refused a piece of work; only refusals in the same `words` add up. `isOfAll`: it would refuse every other one. */
  | {
      readonly type: 'refused';
      readonly source: string;
      readonly words: string;
      readonly fault: Fault;
      readonly isOfAll?: true;
    }
  /** `source` carried out a piece of work. */
  | { readonly type: 'passed'; readonly source: string }
  /** The one piece of work that is a try has begun. */
  | { readonly type: 'tried' }
  /** It turned out to be no try: there was nothing to do. */
  | { readonly type: 'inconclusive' }
  /** What there is to lose by a try has changed: another registration. */
  | { readonly type: 'renewed' };

/** A time-out may be an accident, a refusal in the same words twice is none; a load is also asked for its blocks. */
const THRESHOLDS: Record<BreakerName, number> = { saves: 2, loads: 3, queries: 3 };
/** How many times the last wait a breaker stays closed until that is forgotten. */
const CALM_WAITS = 4;

const refusalOf = ({ event }: { event: Extract<BreakerEvent, { type: 'refused' }> }) => event;
const sourceOf = ({ event }: { event: Extract<BreakerEvent, { type: 'passed' }> }) => event;
const count = { type: 'countRefusal', params: refusalOf } as const;
const forget = { type: 'forgetRefusals', params: sourceOf } as const;

export const breakerMachine = setup({
  types: {} as {
    context: BreakerContext;
    events: BreakerEvent;
    input: BreakerInput;
    tags: 'open' | 'admits';
  },
  guards: {
    isTooMany: ({ context }, refusal: { readonly source: string; readonly words: string; readonly isOfAll?: true }) =>
      refusal.isOfAll === true || refusalsOf(context, refusal) + 1 >= THRESHOLDS[context.breaker],
    isLast: ({ context }, { source }: { readonly source: string }) =>
      context.refusals.every((refusals) => refusals.source === source),
  },
  actions: {
    countRefusal: assign(
      (
        { context },
        { source, words, fault }: { source: string; words: string; fault: Fault },
      ): Partial<BreakerContext> => {
        const others = context.refusals.filter((one) => one.source !== source || one.words !== words);
        const refusals = { source, words, count: refusalsOf(context, { source, words }) + 1 };
        return { refusals: [...others, refusals].slice(-REFUSALS_KEPT), fault };
      },
    ),
    forgetRefusals: assign({
      refusals: ({ context }, { source }: { readonly source: string }) =>
        context.refusals.filter((refusals) => refusals.source !== source),
    }),
    forgetAll: assign({ refusals: [], fault: null }),
    countWait: assign({ waits: ({ context }) => context.waits + 1 }),
    forgetWaits: assign({ waits: 0 }),
    tellOpened: sendParent(
      ({ context }, { fault }: { fault: Fault }): PassedOnEvent => ({
        type: 'breaker.opened',
        breaker: context.breaker,
        fault,
      }),
    ),
    tellClosed: sendParent(({ context }): PassedOnEvent => ({ type: 'breaker.closed', breaker: context.breaker })),
  },
  delays: {
    retry: ({ context }) => waitMs(context),
    calm: ({ context }) => CALM_WAITS * waitMs(context),
    tryTimeout: ({ context }) => context.budgets.breakerTryMs,
  },
}).createMachine({
  id: 'breaker',
  context: ({ input }) => ({ ...input, refusals: [], fault: null, waits: 0 }),
  initial: 'closed',
  states: {
    closed: {
      description: 'The work goes on. Refusals are counted.',
      tags: 'admits',
      on: {
        refused: [
          {
            guard: { type: 'isTooMany', params: refusalOf },
            target: 'open.waiting',
            actions: [count, { type: 'tellOpened', params: refusalOf }],
          },
          { actions: count },
        ],
        passed: { actions: forget },
      },
      after: { calm: { actions: 'forgetWaits' } },
    },
    open: {
      description: 'The work is turned off.',
      tags: 'open',
      initial: 'waiting',
      states: {
        waiting: {
          description: 'Waits for the next try. What was begun before may still be told here.',
          entry: 'countWait',
          on: { refused: { actions: count }, renewed: 'ready' },
          after: { retry: 'ready' },
        },
        ready: {
          description: 'The next piece of work is the try.',
          tags: 'admits',
          on: { refused: { target: 'waiting', actions: count }, tried: 'trying' },
        },
        trying: {
          description: 'One piece of real work is under way.',
          on: {
            refused: { target: 'waiting', actions: count },
            passed: [
              {
                guard: { type: 'isLast', params: sourceOf },
                target: '#breaker.closed',
                actions: ['forgetAll', 'tellClosed'],
              },
              { actions: forget },
            ],
            inconclusive: 'ready',
          },
          after: { tryTimeout: 'ready' },
        },
      },
    },
  },
});

/** A server that says something else each time would fill the memory. */
const REFUSALS_KEPT = 64;

function refusalsOf({ refusals }: BreakerContext, { source, words }: Pick<Refusals, 'source' | 'words'>): number {
  return refusals.find((one) => one.source === source && one.words === words)?.count ?? 0;
}

/** The wait before the next try, in milliseconds. */
function waitMs({ waits, budgets: { breakerFirstMs, breakerMaxMs } }: BreakerContext): number {
  return Math.min(breakerMaxMs, breakerFirstMs * 2 ** Math.max(0, waits - 1));
}
