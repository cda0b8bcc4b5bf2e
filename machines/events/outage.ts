/** An outage is the time in which the cache cannot be used, from the first evidence on; the time before the first `connected` is one. */
import type { Evidence } from '../evidence.ts';
import type { Fault, LinkEndCause } from '../faults.ts';

/** `start`: there was no service yet; `planned`: the host handed the server back. */
export type OutageCause = Evidence['of'] | 'start' | 'planned';

/** How the server ended, as far as it can be known from here. */
export type ServerEnd = 'killed' | 'drained' | 'frozen' | 'forgot' | 'flapped' | 'other' | 'none';

export interface Outage {
  readonly cause: OutageCause;
  /** The first evidence. `null` with `start` and `planned`. */
  readonly fault: Fault | null;
  /** Counter of the epoch that was served, or 0. */
  readonly epochBefore: number;
  readonly dials: number;
  readonly generations: number;
}

export interface EndedOutage extends Outage {
  readonly outcome: 'connected' | 'stopped';
  readonly serverEnd: ServerEnd;
  /** Counter of the epoch that is served, or was announced last. */
  readonly epochAfter: number;
}

/** The registration of all ranks in one epoch. */
export interface Generation {
  /** The epoch's counter. */
  readonly epoch: number;
  /** As announced: whether the ranks register, or show that they still are. */
  readonly action: 'register' | 'keep';
}

/** What was seen of the server since it was in service last. */
export interface ServerClues {
  /** How the first link ended that was up. */
  readonly linkEnd: LinkEndCause | null;
  /** Nobody listened when the server was dialled. */
  readonly wasRefused: boolean;
}

export const NO_CLUES: ServerClues = { linkEnd: null, wasRefused: false };

/**
 * A close alone may be a killed server or a broken connection to one that lives: where nobody listened afterwards, or the
 * registration was gone, it was the former. `isKept`: the registration was still there.
 */
export function serverEndOf(
  { cause, fault }: Outage,
  { linkEnd, wasRefused }: ServerClues,
  isKept: boolean,
): ServerEnd {
  if (cause === 'start') return 'none';
  if (cause === 'planned' || cause === 'drain') return 'drained';
  if (fault?.kind === 'forgotten') return 'forgot';
  if (linkEnd === 'pingLost') return 'frozen';
  if (linkEnd === 'closed' || linkEnd === 'reset') return isKept && !wasRefused ? 'flapped' : 'killed';
  return fault?.kind === 'timedOut' ? 'frozen' : 'other';
}
