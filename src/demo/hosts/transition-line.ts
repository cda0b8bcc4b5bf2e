import type { InspectionEvent } from 'xstate';
import { transitionLog } from '../../telemetry/logs/transition-log.ts';

/** An inspector that writes a line for every transition: time, machine, from, event, to. */
export function describeTransition(machine: string, write: (line: string) => void): (event: InspectionEvent) => void {
  return transitionLog(machine, ({ from, event, to, atMs }) => {
    const time = new Date(atMs).toISOString().slice(11, -1);
    write(`${time} ${machine}: ${from || '-'} -- ${event} --> ${to}`);
  });
}
