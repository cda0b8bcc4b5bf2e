import type { InspectionEvent, StateValue } from 'xstate';
import { pathFrom } from '../../machines/index.ts';

export type MachineName = 'scheduler' | 'worker';

/** Which events did something in which states, over all runs. */
export class Coverage {
  /** Counts by `machine state event`. */
  readonly seen = new Map<string, number>();

  /** `onPath` is told every state that the machine comes to rest in, those inside of others too. */
  inspector(machine: MachineName, onPath: (path: string) => void): (event: InspectionEvent) => void {
    let restingPath = '';
    let isCounted = false;
    return (inspection) => {
      if (inspection.type !== '@xstate.microstep' && inspection.type !== '@xstate.snapshot') return;
      if (inspection.actorRef.sessionId !== inspection.rootId || !('value' in inspection.snapshot)) return;
      if (inspection.type === '@xstate.snapshot') {
        const path = pathFrom(inspection.snapshot.value as StateValue);
        isCounted = false;
        if (path === restingPath) return;
        restingPath = path;
        onPath(path);
        return;
      }
      // Of one event's steps the first alone happens in the state that it met.
      if (isCounted) return;
      isCounted = true;
      const name = `${machine} ${restingPath} ${inspection.event.type}`;
      this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
    };
  }
}
