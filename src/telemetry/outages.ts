import type { EventObject } from 'xstate';
import { type Evidence, type Fault, type LinkEndCause, type SchedulerContext, stateOf } from '../../machines/index.ts';
import type { MachineStep } from './machine-steps.ts';

export type OutageCause = Evidence['of'] | 'start' | 'planned';

/** How the server went, as far as it can be known from here. */
export type ServerEnd = 'killed' | 'drained' | 'frozen' | 'forgot' | 'flapped' | 'other' | 'none';

/** The time in which the cache cannot be used, from the first evidence on; the time before the first `connected` is one. */
export interface Outage {
  readonly startMs: number;
  readonly cause: OutageCause;
  /** The first evidence. */
  readonly fault: Fault | null;
  readonly epochBefore: number;
  dials: number;
  generations: number;
  /** When the dial that led to the present link was answered. */
  reachedMs: number | null;
}

export interface EndedOutage extends Outage {
  readonly endMs: number;
  readonly outcome: 'connected' | 'stopped';
  readonly serverEnd: ServerEnd;
  readonly epochAfter: number;
}

/** The all-ranks registration of one epoch. */
export interface Generation {
  readonly epoch: number;
  readonly action: 'register' | 'keep';
}

/** What a step of the scheduler's machine means to an operator. */
export type SchedulerNews =
  | { readonly type: 'outage.began'; readonly outage: Outage }
  | { readonly type: 'outage.ended'; readonly outage: EndedOutage }
  | { readonly type: 'generation.began'; readonly generation: Generation }
  | {
      readonly type: 'generation.ended';
      readonly generation: Generation;
      readonly outcome: 'published' | 'void';
      readonly fault: Fault | null;
    };

interface Clues {
  linkEnd: LinkEndCause | null;
  wasRefused: boolean;
  isKept: boolean;
}

const IN_GENERATION = /^reRegistering\.(announcing|sealing|readingBack)\b/;
const DIALING = 'reconnecting.dialing';

/** Follows the scheduler's machine step by step. */
export class Outages {
  #outage: Outage | null = null;
  #clues: Clues = noClues();
  #generation: Generation | null = null;

  follow(step: MachineStep<SchedulerContext>): SchedulerNews[] {
    const { from, to } = step;
    const began = this.#begins(step) ? [this.#begin(step)] : [];
    if (this.#outage !== null) this.#note(this.#outage, step);
    const generations = this.#followGeneration(step);
    const isOver = stateOf(to) === 'connected' || stateOf(to) === 'stopping' || to === 'stopped';
    const ended = this.#outage !== null && from !== to && isOver ? [this.#end(this.#outage, step)] : [];
    return [...began, ...generations, ...ended];
  }

  #begins({ from, to }: MachineStep<SchedulerContext>): boolean {
    if (from === '') return true;
    const left = stateOf(to);
    return stateOf(from) === 'connected' && left !== 'connected' && left !== 'stopping' && left !== 'stopped';
  }

  #begin({ from, to, atMs, context, before }: MachineStep<SchedulerContext>): SchedulerNews {
    const isPlanned = stateOf(to) === 'drained';
    const { evidence } = context;
    const outage: Outage = {
      startMs: atMs,
      cause: from === '' ? 'start' : isPlanned ? 'planned' : (evidence?.of ?? 'link'),
      fault: from === '' || isPlanned ? null : (evidence?.fault ?? null),
      epochBefore: (before ?? context).announcement.epoch.counter,
      dials: 0,
      generations: 0,
      reachedMs: null,
    };
    this.#outage = outage;
    this.#clues = noClues();
    return { type: 'outage.began', outage };
  }

  #note(outage: Outage, { from, to, event, cause, atMs, context }: MachineStep<SchedulerContext>): void {
    if (to === DIALING && from !== DIALING) outage.dials += 1;
    if (event === 'link.opened') outage.reachedMs = atMs;
    const linkEnd = event === 'link.ended' ? (cause as EventObject & { readonly cause: LinkEndCause }).cause : null;
    if (from === DIALING && linkEnd === 'refused') this.#clues.wasRefused = true;
    else if (from !== DIALING && linkEnd !== null) this.#clues.linkEnd ??= linkEnd;
    const { epoch, action } = context.announcement;
    this.#clues.isKept = epoch.counter === outage.epochBefore || action === 'keep';
  }

  #followGeneration({ to, context, before }: MachineStep<SchedulerContext>): SchedulerNews[] {
    const { epoch, action } = context.announcement;
    const news: SchedulerNews[] = [];
    const isNew = before !== null && before.announcement.epoch.counter !== epoch.counter;
    if (this.#generation !== null && (isNew || !IN_GENERATION.test(to))) {
      const outcome = stateOf(to) === 'connected' ? 'published' : 'void';
      const fault = outcome === 'void' ? (context.evidence?.fault ?? null) : null;
      news.push({ type: 'generation.ended', generation: this.#generation, outcome, fault });
      this.#generation = null;
    }
    if (isNew && (action === 'register' || action === 'keep')) {
      this.#generation = { epoch: epoch.counter, action };
      if (this.#outage !== null) this.#outage.generations += 1;
      news.push({ type: 'generation.began', generation: this.#generation });
    }
    return news;
  }

  #end(outage: Outage, { to, atMs, context }: MachineStep<SchedulerContext>): SchedulerNews {
    this.#outage = null;
    const outcome = stateOf(to) === 'connected' ? 'connected' : 'stopped';
    const serverEnd = serverEndOf(outage, this.#clues);
    const epochAfter = context.announcement.epoch.counter;
    return { type: 'outage.ended', outage: { ...outage, endMs: atMs, outcome, serverEnd, epochAfter } };
  }
}

function noClues(): Clues {
  return { linkEnd: null, wasRefused: false, isKept: false };
}

/**
 * A close alone may be a killed server or a broken connection to one that lives: where nobody listened afterwards, or
 * the registration was gone, it was the former.
 */
function serverEndOf({ cause, fault }: Outage, { linkEnd, wasRefused, isKept }: Clues): ServerEnd {
  if (cause === 'start') return 'none';
  if (cause === 'planned' || cause === 'drain') return 'drained';
  if (fault?.kind === 'forgotten') return 'forgot';
  if (linkEnd === 'pingLost') return 'frozen';
  if (linkEnd === 'closed' || linkEnd === 'reset') return isKept && !wasRefused ? 'flapped' : 'killed';
  return fault?.kind === 'timedOut' ? 'frozen' : 'other';
}
