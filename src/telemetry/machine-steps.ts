import type { EventObject, InspectionEvent, StateValue } from 'xstate';
import { pathFrom } from '../../machines/index.ts';
import { isStep, takenTransition } from '../taken-transition.ts';
import { wallTimeMs } from '../wall-time.ts';

/** One microstep of a machine, also through a state that is left in the same breath. */
export interface MachineStep<MachineContext> {
  /** Dotted paths; `from` is empty at the start. Equal where only the context changed. */
  readonly from: string;
  readonly to: string;
  /** The event under a name of a closed set: `link.ended`, `after.dialTimeout`, `actor.done`, `actor.failed`, `start`. */
  readonly event: string;
  /** The guard that let it pass; `null` where there is none, or none with a name. */
  readonly guard: string | null;
  readonly cause: EventObject;
  readonly context: MachineContext;
  /** `null` at the start. */
  readonly before: MachineContext | null;
  /** The machine has ended with this step. */
  readonly isLast: boolean;
  /** Wall time in milliseconds with fraction. */
  readonly atMs: number;
}

/** An inspector that tells every microstep of the machine it is given to, and nothing of the actors below it. */
export function machineSteps<MachineContext>(
  tell: (step: MachineStep<MachineContext>) => void,
  nowMs: () => number = wallTimeMs,
): (inspection: InspectionEvent) => void {
  let from = '';
  let before: MachineContext | null = null;
  return (inspection) => {
    if (!isStep(inspection) || inspection.actorRef.sessionId !== inspection.rootId) return;
    const { snapshot, event: cause } = inspection;
    if (!('value' in snapshot) || !('context' in snapshot)) return;
    const context = snapshot.context as MachineContext;
    const to = pathFrom(snapshot.value as StateValue);
    if (to === from && context === before) return;
    const guard = takenTransition(inspection)?.guard ?? null;
    const isLast = snapshot.status !== 'active';
    const step = { from, to, event: eventName(cause.type), guard, cause, context, before, isLast, atMs: nowMs() };
    from = to;
    before = context;
    tell(step);
  };
}

function eventName(type: string): string {
  if (!type.startsWith('xstate.')) return type;
  if (type.startsWith('xstate.done.')) return 'actor.done';
  if (type.startsWith('xstate.error.')) return 'actor.failed';
  const [, delay] = /^xstate\.after\.(\w+)\./.exec(type) ?? [];
  return delay === undefined ? 'start' : `after.${delay}`;
}
