/**
 * Calls `fire` after `delayMs`, unless the function that comes back was called before. After a stall of this process
 * late timers run before the answers that have long arrived are read; so this one gives way for a full turn of the event
 * loop: data first, then the verdict.
 */
export function ioFirstTimer(delayMs: number, fire: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(() => {
      turn = setImmediate(fire);
    });
  }, delayMs);
  return () => {
    clearTimeout(timer);
    clearImmediate(turn);
  };
}

/** The clock of a machine whose timers are patient. */
export const ioFirstClock = {
  setTimeout: (fire: (...args: unknown[]) => void, delayMs: number): (() => void) => ioFirstTimer(delayMs, fire),
  clearTimeout: (cancel: () => void): void => cancel(),
};
