import type { PublishedVersion } from '../../published-wheels.ts';
import type { Sequence } from '../step.ts';
import { httpSequences } from './http.ts';
import { lifecycleSequences } from './lifecycle.ts';
import { limitSequences } from './limits.ts';
import { loadSequences } from './load.ts';
import { querySequences } from './query.ts';
import { registerSequences } from './register.ts';
import { saveSequences } from './save.ts';

/** What is asked on purpose: every rule that the two servers are known to share, or have differed in. */
export const directedSequences = (version: PublishedVersion): readonly Sequence[] => [
  ...registerSequences(version),
  ...saveSequences,
  ...querySequences,
  ...loadSequences,
  ...limitSequences,
  ...httpSequences,
  ...lifecycleSequences,
];
