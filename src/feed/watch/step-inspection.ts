import type { AnyEventObject, InspectionEvent } from 'xstate';
import { edgeId } from './edge-id.ts';

/** What XState says of one step of a machine. */
export type StepInspection = Extract<InspectionEvent, { readonly type: '@xstate.microstep' | '@xstate.snapshot' }>;

export function isStep(inspection: InspectionEvent): inspection is StepInspection {
  if (inspection.type !== '@xstate.microstep' && inspection.type !== '@xstate.snapshot') return false;
  return 'value' in inspection.snapshot;
}

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
    const taken = inspection.type === '@xstate.microstep' ? inspection._transitions[0] : undefined;
    const actor = taken?.source.invoke.find((invoked) => invoked.id === id)?.src ?? id;
    return { event, name: `${actor} ${end === 'done' ? 'done' : 'failed'}` };
  }
  const [, delay] = /^xstate\.after\.(\w+)\./.exec(type) ?? [];
  if (delay !== undefined) return { event, name: `after ${delay}` };
  return { event, name: type === 'xstate.init' ? 'start' : type };
}

/** Id of the chart's edge that this step took; `null` where it cannot be told. */
export function edgeTaken(inspection: StepInspection): string | null {
  if (inspection.type !== '@xstate.microstep') return null;
  const taken = inspection._transitions.find(({ target }) => target !== undefined);
  const target = taken?.target?.[0];
  return taken && target ? edgeId(taken.source.path.join('.'), target.path.join('.')) : null;
}
