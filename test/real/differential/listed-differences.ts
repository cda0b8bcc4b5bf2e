import type { Outcome } from './outcome.ts';
import type { Step } from './step.ts';

/** A difference that is wanted. Its reason stands in `docs/engine-differences.md`, in the row of this id. */
export interface ListedDifference {
  readonly id: string;
  readonly matches: (compared: Compared) => boolean;
}

/** One step's outcome at both servers. */
export interface Compared {
  readonly step: Step;
  readonly what: Outcome['what'];
  readonly real: string;
  readonly engine: string;
}

const startsAlike = (prefix: string, { real, engine }: Compared): boolean =>
  real.startsWith(prefix) && engine.startsWith(prefix);

const COPY_FAILED = 'PegaflowInternal 13 "storage error: cu';
const HISTOGRAM_OF_DISTINCT_BLOCKS = /^# TYPE pegaflow_hll_\w+ \w+\n?/gm;
const PRESENT_FROM_THE_START = /^# TYPE pegaflow_inflight_bytes gauge\n?/gm;

export const LISTED_DIFFERENCES: readonly ListedDifference[] = [
  {
    id: 'wrapper-words',
    matches: (compared) =>
      compared.step.op === 'register' && startsAlike('PegaflowInternal 13 "register tensor failed: ', compared),
  },
  {
    id: 'copy-words',
    matches: (compared) => compared.step.op === 'save' && startsAlike(COPY_FAILED, compared),
  },
  {
    id: 'slot-size',
    matches: ({ step, real, engine }) =>
      step.op === 'load' &&
      (engine.includes('namespace is shared by incompatible KV layouts') || engine === '-1') &&
      (real.startsWith('[true') || real === '1'),
  },
  {
    id: 'metrics-names',
    matches: ({ what, real, engine }) =>
      what === 'metrics' &&
      real.replace(HISTOGRAM_OF_DISTINCT_BLOCKS, '').trim() === engine.replace(PRESENT_FROM_THE_START, '').trim(),
  },
];
