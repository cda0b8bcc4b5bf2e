import type { AnyTransitionDefinition, InspectionEvent } from 'xstate';

/** What XState says of one step of a machine. */
export type StepInspection = Extract<InspectionEvent, { readonly type: '@xstate.microstep' | '@xstate.snapshot' }>;

/** The transition that a step took. */
export interface TakenTransition {
  /** Name of the guard that let it pass; `null` where there is none, or none with a name. */
  readonly guard: string | null;
  /** Dotted path of the state that has the transition; empty for the machine itself. */
  readonly source: string;
  /** Dotted path of its target; `null` where only the context changed. */
  readonly target: string | null;
  /** Actors that the source runs, by the id under which their ends are told. */
  readonly actors: Readonly<Record<string, string>>;
}

/** Whether this is a step of a machine, and not of another kind of actor. */
export function isStep(inspection: InspectionEvent): inspection is StepInspection {
  if (inspection.type !== '@xstate.microstep' && inspection.type !== '@xstate.snapshot') return false;
  return 'value' in inspection.snapshot && 'context' in inspection.snapshot;
}

/**
 * The one place that reads `_transitions`, which XState does not document: nothing else says which guard let a step pass and which
 * state had the transition. Of several the first that has a target. `null` where the step took none: at the start, and of a snapshot.
 */
export function takenTransition(inspection: StepInspection): TakenTransition | null {
  if (inspection.type !== '@xstate.microstep') return null;
  const [first] = inspection._transitions;
  const taken = inspection._transitions.find(({ target }) => target !== undefined) ?? first;
  if (taken === undefined || first === undefined) return null;
  return {
    guard: guardOf(first),
    source: taken.source.path.join('.'),
    target: taken.target?.[0]?.path.join('.') ?? null,
    actors: Object.fromEntries(first.source.invoke.map(({ id, src }) => [id, typeof src === 'string' ? src : id])),
  };
}

function guardOf({ guard }: AnyTransitionDefinition): string | null {
  if (typeof guard === 'string') return guard;
  if (typeof guard !== 'object' || guard === null || !('type' in guard)) return null;
  return String(guard.type);
}
