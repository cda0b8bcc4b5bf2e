import { play, type SeedResult } from './players.ts';

async function replay(seed: number, faults: readonly number[]): Promise<SeedResult | null> {
  let found: SeedResult | null = null;
  const onResult = (result: SeedResult) => {
    found = result;
    return true;
  };
  await play({ from: seed, count: 1, jobs: 1, faults, onResult });
  return found;
}

/** The same failure with as few faults as can be found by leaving out one after another. */
export async function shrink(failed: SeedResult): Promise<SeedResult> {
  let smallest = failed;
  for (const index of failed.played) {
    const fewer = smallest.played.filter((one) => one !== index);
    const result = await replay(failed.seed, fewer);
    if (result?.failure?.invariant === failed.failure?.invariant) smallest = result ?? smallest;
  }
  return smallest;
}
