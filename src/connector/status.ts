import type { StateValue } from 'xstate';
import { type Epoch, type Fault, pathFrom, stateOf } from '../../machines/index.ts';
import { wallTimeMs } from '../wall-time.ts';
import { Listeners } from './callbacks.ts';

/** What an operator wants to know of one connector. Callers of the cache need none of it: they get outcomes. */
export interface ConnectorStatus {
  readonly state: ConnectorState;
  /** The state with its parts, such as `reRegistering.sealing.waiting`. */
  readonly path: string;
  /** The announced epoch. Before the first: `null` at a rank, counter 0 at the scheduler. */
  readonly epoch: Epoch | null;
  /** When this state was entered, in milliseconds of wall time with fraction. */
  readonly sinceMs: number;
  /** The newest observation of something lost or refused; it stays after the recovery. */
  readonly fault: Fault | null;
}

export type ConnectorState =
  | 'connected'
  | 'degraded'
  | 'reconnecting'
  | 'reRegistering'
  | 'incompatible'
  | 'drained'
  | 'stopping'
  | 'stopped';

/** Follows a machine and tells its listeners when its state or its epoch changes; steps inside a state are not news. */
export class StatusBoard {
  #status: ConnectorStatus;
  #listeners = new Listeners<ConnectorStatus>();

  constructor(value: StateValue, epoch: Epoch | null) {
    const path = pathFrom(value);
    this.#status = { state: stateOf(path) as ConnectorState, path, epoch, fault: null, sinceMs: wallTimeMs() };
  }

  get status(): ConnectorStatus {
    return this.#status;
  }

  listen(listener: (status: ConnectorStatus) => void): () => void {
    return this.#listeners.add(listener);
  }

  post(value: StateValue, epoch: Epoch | null, fault: Fault | null): void {
    const last = this.#status;
    const path = pathFrom(value);
    const state = stateOf(path) as ConnectorState;
    const isNews = state !== last.state || epoch !== last.epoch;
    this.#status = { state, path, epoch, fault, sinceMs: state === last.state ? last.sinceMs : wallTimeMs() };
    if (isNews) this.#listeners.tell(this.#status);
  }
}
