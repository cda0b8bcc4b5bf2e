/** What happens in a run, told to those who keep it, and the one place where its steps wait. */
import type { DemoEvent } from './journal.ts';
import type { DemoObserver } from './observer.ts';
import { Progress } from './progress.ts';

export class RunLog {
  readonly progress = new Progress();
  readonly #listeners = new Set<(event: DemoEvent) => void>();
  readonly #observer: Pick<DemoObserver, 'event'>;
  readonly #failure = Promise.withResolvers<never>();

  constructor(observer: Pick<DemoObserver, 'event'>) {
    this.#observer = observer;
    this.#failure.promise.catch(() => {});
  }

  record(event: DemoEvent): void {
    this.progress.observe(event);
    this.#observer.event(event, this.progress);
    for (const listener of [...this.#listeners]) listener(event);
  }

  onEvent(listener: (event: DemoEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Ends every wait, now and later, with this error. Only the first counts. */
  fail(error: Error): void {
    this.#failure.reject(error);
  }

  /** Settles once the condition holds; it is looked at after every event. */
  until(condition: (progress: Progress) => boolean): Promise<void> {
    const held = new Promise<void>((resolve) => {
      const look = () => {
        if (!condition(this.progress)) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      look();
    });
    return this.orFailure(held);
  }

  /** The promise, unless the run fails first. */
  orFailure<Value>(promise: Promise<Value>): Promise<Value> {
    return Promise.race([promise, this.#failure.promise]);
  }
}
