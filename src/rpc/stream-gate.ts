/** Streams that ordinary calls leave free: for the Session, a probe or a registration, which must not wait behind them. */
const RESERVED = 2;

interface Waiter {
  readonly isVital: boolean;
  readonly admit: () => void;
  readonly refuse: (error: Error) => void;
}

/**
 * The peer's limit of concurrent streams (SETTINGS_MAX_CONCURRENT_STREAMS), kept by ourselves: what node's HTTP/2 queues
 * beyond it leaves later, whatever became of it meanwhile. Whoever waits here has sent nothing, and can be taken back.
 */
export class StreamGate {
  #limit = Number.POSITIVE_INFINITY;
  #open = { vital: 0, ordinary: 0 };
  #waiting = new Set<Waiter>();
  #isClosed = false;

  /** Ordinary calls that can be under way at once. */
  get ordinaryLimit(): number {
    return Math.max(1, this.#limit - RESERVED);
  }

  /** The peer said how many streams may be open. */
  setLimit(limit: number): void {
    this.#limit = limit;
    this.#admit();
  }

  /**
   * `null`: there is room, and it is taken. Otherwise settles when it is; rejects with the signal's reason, or with what
   * {@link close} was given. Who has room calls {@link leave} once.
   */
  enter(isVital: boolean, signal: AbortSignal | undefined, taken: (reason: unknown) => Error): Promise<void> | null {
    if (this.#isClosed || this.#hasRoom(isVital)) {
      this.#count(isVital, 1);
      return null;
    }
    return new Promise((resolve, reject) => {
      const withdraw = () => {
        this.#waiting.delete(waiter);
        reject(taken(signal?.reason));
      };
      const waiter: Waiter = {
        isVital,
        admit: () => {
          signal?.removeEventListener('abort', withdraw);
          resolve();
        },
        refuse: (error) => {
          signal?.removeEventListener('abort', withdraw);
          reject(error);
        },
      };
      this.#waiting.add(waiter);
      signal?.addEventListener('abort', withdraw);
      if (signal?.aborted) withdraw();
    });
  }

  leave(isVital: boolean): void {
    this.#count(isVital, -1);
    this.#admit();
  }

  /** Nothing new can be sent: whoever waits is refused, and who comes is let through to hear why. */
  close(error: Error): void {
    this.#isClosed = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.refuse(error);
  }

  #hasRoom(isVital: boolean): boolean {
    const { vital, ordinary } = this.#open;
    const free = this.#limit - vital - ordinary;
    if (isVital) return free > 0;
    return free > 0 && (ordinary === 0 || free > RESERVED);
  }

  #count(isVital: boolean, by: number): void {
    this.#open[isVital ? 'vital' : 'ordinary'] += by;
  }

  /** Vital calls first, each kind in the order in which it came. */
  #admit(): void {
    for (const isVital of [true, false]) {
      for (const waiter of [...this.#waiting]) {
        if (waiter.isVital !== isVital || !this.#hasRoom(isVital)) continue;
        this.#waiting.delete(waiter);
        this.#count(isVital, 1);
        waiter.admit();
      }
    }
  }
}
