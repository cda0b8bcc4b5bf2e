import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { sweepSharedMemory } from '../../../native-bindings/index.ts';
import { countLeaks, identifyProcess } from '../../../src/demo/leaks.ts';

const CHILD = fileURLToPath(new URL('./leaking-child.ts', import.meta.url));

test('leaks are counted while they are there, and not when they are gone', async () => {
  const child = fork(CHILD);
  onTestFinished(() => void child.kill('SIGKILL'));
  const [{ port }] = (await once(child, 'message')) as [{ readonly port: number }];
  const identity = identifyProcess(child.pid ?? 0);
  if (identity === null) throw new Error('the child is not alive');
  expect(countLeaks([identity], port)).toEqual({ leakedProcesses: 1, leakedSharedMemory: 2, leakedSockets: 1 });

  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(countLeaks([identity], port)).toMatchObject({ leakedProcesses: 0, leakedSockets: 0 });
  sweepSharedMemory();
  expect(countLeaks([identity], port)).toEqual({ leakedProcesses: 0, leakedSharedMemory: 0, leakedSockets: 0 });
});

test('a process that took over the id of another is not that process', () => {
  const self = identifyProcess(process.pid);
  if (self === null) throw new Error('this process is not alive');
  expect(countLeaks([{ ...self, startTime: '0' }], null).leakedProcesses).toBe(0);
  expect(countLeaks([self], null).leakedProcesses).toBe(1);
});
