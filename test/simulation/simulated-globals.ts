/** Time and randomness of the platform, as the simulated kernel has them. Nothing of the product may be loaded before. */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { type Phase, ScheduledEvent } from './event-loop.ts';
import { kernel } from './kernel.ts';

type Callback = (...args: unknown[]) => void;

function arm(delayMs: number, phase: Phase, callback: Callback, args: readonly unknown[]): ScheduledEvent {
  const { loop } = kernel();
  return loop.schedule(loop.current, delayMs, phase, () => callback(...args));
}

function cancel(event: unknown): void {
  if (event instanceof ScheduledEvent) event.isCancelled = true;
}

/** Node takes everything below 1 ms for 1 ms. */
const SHORTEST_TIMER_MS = 1;
/** Wall time at the start of every run; only its steps matter. */
const EPOCH_MS = Date.UTC(2030, 0, 1);

const wallTime = () => EPOCH_MS + kernel().loop.nowMs + kernel().loop.wallClockOffsetMs;

Object.assign(globalThis, {
  setTimeout: (callback: Callback, delayMs = 0, ...args: unknown[]) =>
    arm(Math.max(SHORTEST_TIMER_MS, delayMs), 'timer', callback, args),
  setImmediate: (callback: Callback, ...args: unknown[]) => arm(0, 'immediate', callback, args),
  clearTimeout: cancel,
  clearImmediate: cancel,
  setInterval: () => {
    throw new Error('nothing that is simulated uses setInterval');
  },
});
Object.defineProperty(performance, 'now', { value: () => kernel().loop.nowMs });
Object.defineProperty(performance, 'timeOrigin', { get: () => EPOCH_MS });
Date.now = wallTime;
Math.random = () => kernel().productRandom.next();
crypto.randomUUID = () => kernel().productRandom.uuid();
syncBuiltinESMExports();
