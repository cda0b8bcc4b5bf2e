import type { InspectionEvent } from 'xstate';
import { machineSteps } from '../machine-steps.ts';

/** One step of a machine from one state to another. */
export interface Transition {
  /** Whatever the log was made for, such as `scheduler` or `rank 3`. */
  readonly machine: string;
  /** Dotted path; empty at the start. */
  readonly from: string;
  readonly event: string;
  readonly to: string;
  /** Wall time in milliseconds with fraction. */
  readonly atMs: number;
}

/**
 * An inspector for the `inspect` option of a connector: tells every transition, also through states that are left in
 * the same breath.
 */
export function transitionLog(
  machine: string,
  write: (transition: Transition) => void,
): (event: InspectionEvent) => void {
  return machineSteps(({ from, to, cause, atMs }) => {
    if (to !== from) write({ machine, from, event: cause.type, to, atMs });
  });
}
