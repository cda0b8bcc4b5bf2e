import type { EngineClock } from './engine-clock.ts';

/** Timers that end together. */
export class EngineTimers implements Disposable {
  readonly #clock: EngineClock;
  readonly #cancellations = new Set<() => void>();

  constructor(clock: EngineClock) {
    this.#clock = clock;
  }

  after(delayMs: number, callback: () => void): void {
    const cancel = this.#clock.after(delayMs, () => {
      this.#cancellations.delete(cancel);
      callback();
    });
    this.#cancellations.add(cancel);
  }

  every(intervalMs: number, callback: () => void): void {
    this.after(intervalMs, () => {
      callback();
      this.every(intervalMs, callback);
    });
  }

  [Symbol.dispose](): void {
    for (const cancel of this.#cancellations) cancel();
    this.#cancellations.clear();
  }
}
