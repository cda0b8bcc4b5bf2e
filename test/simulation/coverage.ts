import type { InspectionEvent, StateValue } from 'xstate';
import { pathFrom, schedulerMachine, workerMachine } from '../../machines/index.ts';

const machines = { scheduler: schedulerMachine, worker: workerMachine };
export type MachineName = keyof typeof machines;

/** Which events arrived in which states, over all runs. */
export class Coverage {
  /** Counts by `machine state event`. */
  readonly seen = new Map<string, number>();

  inspector(machine: MachineName): (event: InspectionEvent) => void {
    let path = '';
    return (inspection) => {
      if (inspection.type !== '@xstate.microstep' && inspection.type !== '@xstate.snapshot') return;
      if (inspection.actorRef.sessionId !== inspection.rootId || !('value' in inspection.snapshot)) return;
      const name = `${machine} ${path} ${inspection.event.type}`;
      if (inspection.type === '@xstate.microstep') this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
      path = pathFrom(inspection.snapshot.value as StateValue);
    };
  }
}

/** Every event that a machine heeds in each of its atomic states, named as {@link Coverage} does. */
export function allPairs(machine: MachineName): string[] {
  const pairs: string[] = [];
  type Node = (typeof machines)[MachineName]['root'];
  const visit = (node: Node, path: readonly string[], inherited: ReadonlySet<string>) => {
    const events = new Set([...inherited, ...node.ownEvents]);
    const children = Object.entries(node.states) as [string, Node][];
    for (const [name, child] of children) visit(child, [...path, name], events);
    if (children.length > 0 || node.type === 'final') return;
    const isTransient = (node.always?.length ?? 0) > 0 && node.ownEvents.length === 0 && node.after.length === 0;
    if (isTransient) return;
    for (const event of events) pairs.push(`${machine} ${path.join('.')} ${event}`);
  };
  visit(machines[machine].root as Node, [], new Set());
  return pairs;
}
