import { mutantBy } from './mutants.ts';
import { type PlayOptions, play, type SeedResult } from './players.ts';

/**
 * The first seed that fails with this mutant in place and holds without it, or `null` when none of so many does. The one that
 * is known to catch it is tried before the others.
 */
export async function seedThatCatches(mutant: string, seeds: number, jobs: number): Promise<SeedResult | null> {
  const { seed: known, caughtBy } = mutantBy(mutant)!;
  const isCatch = ({ failure }: SeedResult) =>
    failure !== null && (caughtBy === undefined || failure.invariant === caughtBy);
  const ranges = [...(known === undefined ? [] : [{ from: known, count: 1 }]), { from: 1, count: seeds }];
  for (let { from, count } of ranges) {
    while (count > 0) {
      const caught = await firstResult({ from, count, jobs, mutant }, isCatch);
      if (caught === null) break;
      const { seed } = caught;
      if ((await firstResult({ from: seed, count: 1, jobs: 1 }, isCatch)) === null) return caught;
      count -= seed + 1 - from;
      from = seed + 1;
    }
  }
  return null;
}

async function firstResult(
  options: Omit<PlayOptions, 'onResult'>,
  isWanted: (result: SeedResult) => boolean,
): Promise<SeedResult | null> {
  let found: SeedResult | null = null;
  const onResult = (result: SeedResult) => {
    if (isWanted(result)) found ??= result;
    return found !== null;
  };
  await play({ ...options, onResult });
  return found;
}
