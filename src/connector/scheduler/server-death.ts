import type { Connection } from '../../rpc/connection.ts';
import type { OurMemory } from '../../rpc/holder/memory-holder.ts';

/** The scheduler's own process has no device memory: whoever holds any is no proxy. */
const ANY_MEMORY: OurMemory = { deviceId: null, segments: [] };

/** Tells of the death of the process that holds an instance's registration, on whatever link it was made. */
export class ServerDeath {
  #connection: Connection;
  #onDeath: () => void;
  #unwatch: () => void = () => {};
  #dead = Promise.withResolvers<void>();

  constructor(connection: Connection, onDeath: () => void) {
    this.#connection = connection;
    this.#onDeath = onDeath;
  }

  /** The ranks are told to register, with whoever listens now: the last one's death changes nothing any more. */
  forget(): void {
    this.#unwatch();
    this.#unwatch = () => {};
    this.#dead = Promise.withResolvers();
    this.#connection.beginRegistration(ANY_MEMORY);
  }

  /** All ranks have registered with the server behind the link there is. */
  watch(): void {
    if (!this.#connection.isUp) return;
    const { resolve } = this.#dead;
    const unwatch = this.#connection.server.watch({
      lost: () => {},
      dead: () => {
        resolve();
        this.#onDeath();
      },
    });
    this.#unwatch();
    this.#unwatch = unwatch;
  }

  /** A death may be about to be seen: settles when it is, after so many milliseconds, or with `signal`. */
  async seen(withinMs: number, signal: AbortSignal): Promise<void> {
    const { proof } = this.#connection;
    if (proof === null || proof.kind === 'none' || signal.aborted) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, withinMs);
    signal.addEventListener('abort', () => late.resolve(), { once: true });
    await Promise.race([this.#dead.promise, late.promise]);
    clearTimeout(timer);
  }
}
