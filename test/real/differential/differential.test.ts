/** A short part of `npm run real:differential`: the published server and the engine asked the same by the published client. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { newestPublished, publishedVersions } from '../published-wheels.ts';
import { directedSequences } from './directed/index.ts';
import { LISTED_DIFFERENCES } from './listed-differences.ts';
import { play } from './play.ts';
import { randomSequence } from './random-sequence.ts';
import { ServerPairs } from './server-pairs.ts';
import type { Sequence } from './step.ts';

const TIMEOUT_MS = 120_000;
const SEEDS_OF_NEWEST = 12;
const SEEDS_OF_OTHERS = 4;
const FIRST_SEED = 1000;

const page = readFileSync(new URL('../../../docs/engine-differences.md', import.meta.url), 'utf8');
const rows = [...page.matchAll(/^\| `?([a-z0-9-]+)`? \|/gm)].map((match) => match[1]);

it('every difference that is let pass has its reason in docs/engine-differences.md', () => {
  expect(LISTED_DIFFERENCES.map(({ id }) => id).filter((id) => !rows.includes(id))).toEqual([]);
});

describe.each(publishedVersions)('pegaflow-server %s and the engine', (version) => {
  const pairs = new ServerPairs(version);
  afterAll(() => pairs[Symbol.asyncDispose]());

  const unlistedIn = async (sequence: Sequence) => {
    const { unlisted, outcomes } = await play(sequence, { pairs, stopsAtDifference: true });
    expect(outcomes).toBeGreaterThan(0);
    return unlisted;
  };

  const count = version === newestPublished ? SEEDS_OF_NEWEST : SEEDS_OF_OTHERS;
  const random: readonly Sequence[] = Array.from({ length: count }, (_, index) =>
    randomSequence(FIRST_SEED + index, version),
  );
  const directed: readonly Sequence[] =
    version === newestPublished ? directedSequences(version).filter(({ isLong }) => isLong !== true) : [];

  it.each([...directed, ...random])('answer alike: $name', { timeout: TIMEOUT_MS }, async (sequence) => {
    expect(await unlistedIn(sequence)).toEqual([]);
  });
});
