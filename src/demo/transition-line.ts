/** One line per transition of a machine, from XState's inspection: time, machine, from, event, to. */
import type { InspectionEvent } from 'xstate';
import { wallMs } from './journal.ts';

/** An inspector that writes a line for every event that took the machine to another state. */
export function describeTransition(machine: string, write: (line: string) => void): (event: InspectionEvent) => void {
  let from = '-';
  return (inspection) => {
    const { type, actorRef, rootId } = inspection;
    if (type !== '@xstate.snapshot' || actorRef.sessionId !== rootId || !('value' in inspection.snapshot)) return;
    const to = JSON.stringify(inspection.snapshot.value);
    if (from === to) return;
    const time = new Date(wallMs()).toISOString().slice(11, -1);
    write(`${time} ${machine}: ${from} -- ${inspection.event.type} --> ${to}`);
    from = to;
  };
}
