import { RunError } from '../src/demo/run-error.ts';
import { monotonicMs } from './statistics.ts';

/** How long a turn may take, in milliseconds. */
const TURN_TIMEOUT_MS = 60_000;

/** Something that loses its server and finds it again by itself. */
export interface Recovering extends AsyncDisposable {
  readonly service: Service;
}

/** Whether everything is registered, and when that changed last. */
export class Service {
  #isUp = false;
  #waiters = new Set<(isUp: boolean) => void>();

  post(isUp: boolean): void {
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    for (const tell of this.#waiters) tell(isUp);
  }

  /** Settles at the next turn to up or down, with its moment on the clock of {@link monotonicMs}. */
  async turned(to: 'up' | 'down'): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const tell = (isUp: boolean) => {
      if (isUp === (to === 'up')) resolve(monotonicMs());
    };
    const timer = setTimeout(() => reject(new RunError(`not ${to} in ${TURN_TIMEOUT_MS} ms`)), TURN_TIMEOUT_MS);
    this.#waiters.add(tell);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(tell);
    }
  }
}
