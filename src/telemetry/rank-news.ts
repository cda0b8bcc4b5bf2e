import { type Fault, type RankOutcome, stateOf, type WorkerContext } from '../../machines/index.ts';
import type { MachineStep } from './machine-steps.ts';

export type RegistrationOutcome = Exclude<RankOutcome, 'pending' | 'stopped'> | 'superseded';

/** What one rank does about one announced epoch. */
export interface RankRegistration {
  readonly startMs: number;
  readonly epoch: number;
  readonly action: 'register' | 'keep';
}

/** What a step of a rank's machine means to an operator. */
export type RankNews =
  | { readonly type: 'outage.began'; readonly startMs: number; readonly fault: Fault | null }
  | { readonly type: 'outage.ended'; readonly startMs: number; readonly outcome: 'connected' | 'stopped' }
  | { readonly type: 'announced'; readonly traceparent: string | undefined }
  | { readonly type: 'registration.began'; readonly registration: RankRegistration }
  | {
      readonly type: 'registration.ended';
      readonly registration: RankRegistration;
      readonly outcome: RegistrationOutcome;
      readonly fault: Fault | null;
    }
  | { readonly type: 'registration.lost'; readonly fault: Fault | null };

/** Follows a rank's machine step by step. */
export class RankFollower {
  #outageStartMs: number | null = null;
  #registration: RankRegistration | null = null;

  follow(step: MachineStep<WorkerContext>): RankNews[] {
    const { from, to, atMs, context } = step;
    const news: RankNews[] = [];
    const isInService = (path: string) => stateOf(path) === 'connected';
    const isEnding = stateOf(to) === 'stopping' || to === 'stopped' || context.announcement?.action === 'stop';
    if (from === '' || (isInService(from) && !isInService(to) && !isEnding)) {
      this.#outageStartMs = atMs;
      news.push({ type: 'outage.began', startMs: atMs, fault: context.fault });
    }
    news.push(...this.#followRegistration(step));
    if (this.#outageStartMs !== null && from !== to && (isInService(to) || isEnding)) {
      const outcome = isInService(to) ? 'connected' : 'stopped';
      news.push({ type: 'outage.ended', startMs: this.#outageStartMs, outcome });
      this.#outageStartMs = null;
    }
    return news;
  }

  #followRegistration({ to, atMs, context, before }: MachineStep<WorkerContext>): RankNews[] {
    const { announcement, outcome, fault } = context;
    const news: RankNews[] = [];
    const isOver = outcome !== 'pending' || stateOf(to) === 'stopped';
    const isAnnounced = announcement !== null && announcement !== before?.announcement;
    if (this.#registration !== null && (isOver || isAnnounced)) {
      const ended = isAnnounced || outcome === 'pending' || outcome === 'stopped' ? 'superseded' : outcome;
      news.push({ type: 'registration.ended', registration: this.#registration, outcome: ended, fault });
      this.#registration = null;
    } else if (outcome === 'lost' && before?.outcome !== 'lost') news.push({ type: 'registration.lost', fault });
    if (!isAnnounced) return news;
    news.push({ type: 'announced', traceparent: announcement.traceparent });
    const { action, epoch } = announcement;
    if (action === 'register' || action === 'keep') {
      this.#registration = { startMs: atMs, epoch: epoch.counter, action };
      news.push({ type: 'registration.began', registration: this.#registration });
      // A `keep` is refused in the same breath by a rank that has nothing to vouch for.
      if (outcome === 'failed') {
        news.push({ type: 'registration.ended', registration: this.#registration, outcome, fault });
        this.#registration = null;
      }
    }
    return news;
  }
}
