import { type BreakerContext, type BreakerEvent, breakerMachine } from '../../machines/breaker.ts';
import { budgetsFrom } from '../../machines/index.ts';
import type { Plan } from './walk.ts';
import { unreachable } from './walk-faults.ts';
import type { Tables } from './walk-tables.ts';

type Variants = { readonly [type in BreakerEvent['type']]: readonly Extract<BreakerEvent, { type: type }>[] };

const sources = ['rank 0', 'rank 1'];

export const breakerPlan = {
  // Nobody is above it here.
  machine: breakerMachine.provide({ actions: { tellOpened: () => {}, tellClosed: () => {} } }),
  input: { breaker: 'saves', budgets: budgetsFrom() },
  variants: (): Variants => ({
    refused: sources.map((source) => ({ type: 'refused', source, words: 'no', fault: unreachable })),
    passed: sources.map((source) => ({ type: 'passed', source })),
    tried: [{ type: 'tried' }],
    inconclusive: [{ type: 'inconclusive' }],
    renewed: [{ type: 'renewed' }],
  }),
  outputs: {},
  errors: [],
  situationIn: ({ refusals, waits }) => ({
    refused: refusals.map(({ source, count }) => [source, Math.min(count, 2)]).sort(),
    hasWaited: waits > 0,
  }),
} satisfies Plan<BreakerContext>;

const waiting = 'open.waiting';
const ready = 'open.ready';
const trying = 'open.trying';

export const breakerTables: Tables = {
  passedThrough: [],
  ignored: [
    { event: 'passed', because: 'it was begun before the breaker opened', in: [waiting, ready] },
    { event: 'tried', because: 'work needs no try', in: ['closed'] },
    { event: 'tried', because: 'nothing was admitted', in: [waiting] },
    { event: 'tried', because: 'it is under way', in: [trying] },
    { event: 'inconclusive', because: 'no try is under way', in: ['closed', waiting, ready] },
    { event: 'renewed', because: 'work is admitted already', in: ['closed', ready, trying] },
  ],
  endless: { closed: 'refusals', [ready]: 'the next piece of work' },
  leaving: [],
};
