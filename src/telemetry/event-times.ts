import type { SchedulerDomainEvent, WorkerDomainEvent } from '../../machines/index.ts';
import { wallTimeMs } from '../wall-time.ts';

/** When it happened, in milliseconds of wall time with fraction. */
interface Moment {
  readonly atMs: number;
}

interface End extends Moment {
  /** Since it began, in milliseconds with fraction. */
  readonly tookMs: number;
}

interface OutageEnd extends End {
  /** Since the server that is in service now answered the dial, in milliseconds. `null`: it was not dialled, or is not in service. */
  readonly recoveryMs: number | null;
}

type Times<Type> = Type extends 'outage.ended'
  ? OutageEnd
  : Type extends 'generation.ended' | 'registration.ended'
    ? End
    : Moment;

/** What a machine emitted, with the times that it does not know. */
export type Timed<Event extends { readonly type: string }> = Event extends unknown
  ? Event & Times<Event['type']>
  : never;

/** What {@link SchedulerConnector.onEvent} tells. */
export type SchedulerConnectorEvent = Timed<SchedulerDomainEvent>;

/** What {@link WorkerConnector.onEvent} tells. */
export type WorkerConnectorEvent = Timed<WorkerDomainEvent>;

/**
 * The clock of one connector's machine: what one step of it leads to, through states that are left in the same breath and with all
 * that it emits, happened at one moment. Of an end it knows how long it took.
 */
export class EventTimes {
  #stepMs: number | null = null;
  #outageMs = 0;
  /** When the last dial of this outage was answered. */
  #reachedMs: number | null = null;
  #registrationMs = 0;

  /** The moment of the step under way, in milliseconds of wall time with fraction. */
  readonly stepMs = (): number => {
    this.#stepMs ??= wallTimeMs();
    return this.#stepMs;
  };

  /** All of the step has been told. */
  endStep(): void {
    this.#stepMs = null;
  }

  timed<Event extends SchedulerDomainEvent | WorkerDomainEvent>(event: Event): Timed<Event> {
    const atMs = this.#stepMs ?? wallTimeMs();
    return { ...event, atMs, ...this.#durations(event, atMs) } as Timed<Event>;
  }

  #durations(event: SchedulerDomainEvent | WorkerDomainEvent, atMs: number): object {
    switch (event.type) {
      case 'outage.began':
        this.#outageMs = atMs;
        this.#reachedMs = null;
        return {};
      case 'dial.ended':
        if (event.outcome === 'opened') this.#reachedMs = atMs;
        return {};
      case 'outage.ended': {
        const outcome = 'outage' in event ? event.outage.outcome : event.outcome;
        const reachedMs = outcome === 'connected' ? this.#reachedMs : null;
        return { tookMs: atMs - this.#outageMs, recoveryMs: reachedMs === null ? null : atMs - reachedMs };
      }
      case 'generation.began':
      case 'registration.began':
        this.#registrationMs = atMs;
        return {};
      case 'generation.ended':
      case 'registration.ended':
        return { tookMs: atMs - this.#registrationMs };
      default:
        return {};
    }
  }
}
