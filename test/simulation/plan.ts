import { type FaultKind, kindsToDraw, takesItsTime } from './faults.ts';
import { Random } from './random.ts';

export interface Fault {
  /** Its place in the plan, from 1. */
  readonly index: number;
  readonly kind: FaultKind;
  /** Milliseconds after the fault before. */
  readonly afterMs: number;
  readonly seed: number;
}

/** A quiet time, then faults one after another under load, then the way back. */
export interface Episode {
  readonly quietMs: number;
  /** When in it an operator makes the server forget the instances, of which nobody is told; `null`: he does not. */
  readonly forgottenAfterMs: number | null;
  readonly faults: readonly Fault[];
  /** Milliseconds from the last fault to the end of all. */
  readonly lastingMs: number;
}

/** What happens in one run. Each fault has a seed of its own, so that leaving one out does not change the others. */
export function planOf(seed: number): Episode[] {
  const random = new Random(seed, 'plan');
  let index = 0;
  return Array.from({ length: 5 }, () => {
    const faults = Array.from({ length: random.int(1, 4) }, () => ({
      index: ++index,
      kind: random.pick(kindsToDraw),
      afterMs: random.chance(0.3) ? random.between(0, 20) : random.between(20, 1_500),
      seed: random.int(0, 2 ** 31),
    }));
    const short = faults.some(({ kind }) => takesItsTime(kind)) ? [] : [300, 300, 1_000];
    const lastingMs = random.pick([...short, 3_000, 12_000, 20_000, 45_000]);
    const quietMs = random.between(110_000, 150_000);
    const forgottenAfterMs = random.chance(0.3) ? random.between(0, 60_000) : null;
    return { quietMs, forgottenAfterMs, faults, lastingMs };
  });
}
