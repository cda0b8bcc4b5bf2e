import type { InspectionEvent, StateValue } from 'xstate';
import { pathFrom } from '../../machines/index.ts';
import { wallTimeMs } from '../wall-time.ts';

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
  let from = '';
  return (inspection) => {
    if (inspection.actorRef.sessionId !== inspection.rootId) return;
    if (inspection.type !== '@xstate.microstep' && inspection.type !== '@xstate.snapshot') return;
    if (!('value' in inspection.snapshot)) return;
    const to = pathFrom(inspection.snapshot.value as StateValue);
    if (to === from) return;
    write({ machine, from, event: inspection.event.type, to, atMs: wallTimeMs() });
    from = to;
  };
}
