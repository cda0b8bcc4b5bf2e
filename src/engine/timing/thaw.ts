import type { EngineClock } from './engine-clock.ts';

const TICK_MS = 20;
/** A tick so much too late means that the process was stopped; a busy event loop of ours is late by far less. */
const STOPPED_FOR_MS = 400;

/** Settles once this process was stopped (SIGSTOP) and continued, or once nobody asks for that any more. */
export const untilThawed = (clock: EngineClock, isAskedFor: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const tick = (lastMs: number) => {
      clock.after(TICK_MS, () => {
        const nowMs = clock.nowMs();
        if (nowMs - lastMs - TICK_MS > STOPPED_FOR_MS || !isAskedFor()) resolve();
        else tick(nowMs);
      });
    };
    tick(clock.nowMs());
  });
