import { fileURLToPath } from 'node:url';
import type { Reporter } from 'vitest/node';

export const sharedOptions = {
  testTimeout: 30_000,
  hookTimeout: 30_000,
  // A poll waits for other processes; vitest's own second is less than one of them takes to start on a busy machine.
  expect: { poll: { timeout: 20_000 } },
  // Files start processes of their own: more at a time than cores only makes them wait for each other.
  maxWorkers: 2,
  // Hundreds of processes compile the same modules: a third of the CPU time of each start.
  env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/node-compile', import.meta.url)) },
};

/** One plain line for those who read the end of a log. */
export const closingLine: Reporter = {
  onTestRunEnd(testModules) {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const { children } of testModules) for (const test of children.allTests()) counts[test.result().state] += 1;
    const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`;
    process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
  },
};
