import { type Fault, type FaultKind, faultKinds } from './faults.ts';
import { Random } from './random.ts';

/** A quiet time, then faults one after another under load, then the way back. */
export interface Episode {
  readonly quietMs: number;
  readonly faults: readonly Fault[];
}

const kinds = Object.keys(faultKinds) as FaultKind[];

/** What happens in one run. Each fault has a seed of its own, so that leaving one out does not change the others. */
export function planOf(seed: number): Episode[] {
  const random = new Random(seed, 'plan');
  let index = 0;
  return Array.from({ length: 5 }, () => {
    const faults = Array.from({ length: random.int(1, 4) }, () => ({
      index: ++index,
      kind: random.pick(kinds),
      afterMs: random.chance(0.3) ? random.between(0, 20) : random.between(20, 1_500),
      seed: random.int(0, 2 ** 31),
    }));
    return { quietMs: random.between(100_000, 160_000), faults };
  });
}
