import { onTestFinished } from 'vitest';

/** What is thrown in a turn of its own until the test is over, in place of ending the process. */
export function collectUncaught(): unknown[] {
  const collected: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => collected.push(error));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  });
  return collected;
}
