/** Which faults of a soak strike together, drawn by the seed. */
import { createRandom, drawInteger } from '../../src/demo/workload/random.ts';
import type { SoakFault } from './faults/fault.ts';
import { SOAK_FAULTS } from './faults/index.ts';

export type RoundPlan = readonly PlannedFault[];

export interface PlannedFault {
  readonly fault: SoakFault;
  /** Milliseconds from the start of the round. */
  readonly startsAfterMs: number;
  /** A stream of its own: what one fault draws does not depend on how fast another one is. */
  readonly random: () => number;
}

/** Half of all rounds have one fault, so that its own figures are to be had. */
const FAULTS_OF_A_ROUND = [1, 1, 1, 2, 2, 3];
const LONGEST_STAGGER_MS = 1_500;

export function drawRound(random: () => number, { mayReplaceHosts }: { readonly mayReplaceHosts: boolean }): RoundPlan {
  const count = FAULTS_OF_A_ROUND[drawInteger(random, 0, FAULTS_OF_A_ROUND.length - 1)] ?? 1;
  const faults: SoakFault[] = [];
  while (faults.length < count) {
    const fault = drawFault(random);
    const isAllowed = mayReplaceHosts || fault.replacesHost !== true;
    if (isAllowed && !faults.some(({ touches }) => touches === fault.touches)) faults.push(fault);
  }
  return faults.map((fault, index) => ({
    fault,
    startsAfterMs: index === 0 ? 0 : drawInteger(random, 0, LONGEST_STAGGER_MS),
    random: createRandom(drawInteger(random, 0, 2 ** 32 - 1)),
  }));
}

const TOTAL_WEIGHT = SOAK_FAULTS.reduce((sum, { weight }) => sum + weight, 0);

function drawFault(random: () => number): SoakFault {
  let at = random() * TOTAL_WEIGHT;
  for (const fault of SOAK_FAULTS) {
    at -= fault.weight;
    if (at < 0) return fault;
  }
  return drawFault(random);
}
