import { mutantBy } from './mutants.ts';
import { play, type SeedResult } from './players.ts';

/** The first seed that fails with this mutant in place, or `null` when none of so many does. */
export async function seedThatCatches(mutant: string, seeds: number, jobs: number): Promise<SeedResult | null> {
  let caught: SeedResult | null = null;
  const wanted = mutantBy(mutant)?.caughtBy;
  const onResult = (result: SeedResult) => {
    const { failure } = result;
    if (failure !== null && (wanted === undefined || failure.invariant === wanted)) caught ??= result;
    return caught !== null;
  };
  await play({ from: 1, count: seeds, jobs, mutant, onResult });
  return caught;
}
