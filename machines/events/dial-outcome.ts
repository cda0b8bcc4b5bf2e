import type { EventObject } from 'xstate';
import type { LinkEndCause } from '../faults.ts';
import type { DialOutcome } from './domain-events.ts';

const DIALING = 'reconnecting.dialing';

/** Whether a machine dials in the state with this path. */
export function isDialing(path: string): boolean {
  return path === DIALING;
}

/** How the dial ended that this step of either machine was the end of; `null` where it was none. */
export function dialEndedBy(from: string, to: string, event: EventObject): DialOutcome | null {
  return isDialing(from) && !isDialing(to) ? dialOutcome(event) : null;
}

/** How a dial ended, by the event that the machine left it for. */
export function dialOutcome(event: EventObject & { readonly cause?: LinkEndCause }): DialOutcome {
  if (event.type === 'link.opened') return 'opened';
  if (event.type === 'link.ended' && event.cause !== undefined) return event.cause;
  return event.type.startsWith('xstate.after.dialTimeout.') ? 'timedOut' : 'abandoned';
}
