import type { InspectionEvent } from 'xstate';
import { attempt } from '../telemetry/guarded.ts';
import type { MachineInspector } from './options.ts';

/**
 * Throws in a turn of its own, as XState does with what its observers throw: the host hears of its error, and whoever
 * called it goes on.
 */
function rethrowAsync(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

/** Functions of the host that want to hear of something. One that throws keeps nothing from the others, or from us. */
export class Listeners<T> {
  #listeners = new Set<(value: T) => void>();

  /** Until the function that comes back is called. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  emit(value: T): void {
    for (const listener of this.#listeners) attempt(rethrowAsync, () => listener(value));
  }
}

/** What `inspector` throws would end the machine that it watches, for good. */
export function guardedInspector(inspector: MachineInspector): (event: InspectionEvent) => void {
  return (event) =>
    attempt(rethrowAsync, () => (typeof inspector === 'function' ? inspector(event) : inspector.next?.(event)));
}
