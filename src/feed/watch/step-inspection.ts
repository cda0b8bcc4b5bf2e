import type { AnyEventObject } from 'xstate';
import { type StepInspection, takenTransition } from '../../taken-transition.ts';
import { edgeId } from './edge-id.ts';

export interface EventName {
  readonly event: AnyEventObject;
  /** As a person names it: `survey done`, `link failed`, `after dialTimeout`; others by their type. */
  readonly name: string;
}

export function eventNameOf(inspection: StepInspection): EventName {
  const { event } = inspection;
  const { type } = event;
  const [, end, id = ''] = /^xstate\.(done|error)\.actor\.(.+)$/.exec(type) ?? [];
  if (end !== undefined) {
    const actor = takenTransition(inspection)?.actors[id] ?? id;
    return { event, name: `${actor} ${end === 'done' ? 'done' : 'failed'}` };
  }
  const [, delay] = /^xstate\.after\.(\w+)\./.exec(type) ?? [];
  if (delay !== undefined) return { event, name: `after ${delay}` };
  return { event, name: type === 'xstate.init' ? 'start' : type };
}

/** Id of the chart's edge that this step took; `null` where it cannot be told. */
export function edgeTaken(inspection: StepInspection): string | null {
  const taken = takenTransition(inspection);
  return taken === null || taken.target === null ? null : edgeId(taken.source, taken.target);
}
