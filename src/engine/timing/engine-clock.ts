/** Time as the engine sees it; everything in the engine that waits does it here, so that a simulation can own it. */
export interface EngineClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Runs `callback` once after `delayMs`, 0 meaning as soon as other events had their turn. Returns its cancellation. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: EngineClock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => {
    if (delayMs <= 0) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    // What the engine still meant to do does not keep a process from its end; its ports do.
    const timer = setTimeout(callback, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

export const sleep = (clock: EngineClock, delayMs: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
