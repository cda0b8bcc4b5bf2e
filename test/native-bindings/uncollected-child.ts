import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import { atEnd } from '../support/own.ts';

/**
 * The child of a process that never waits for it. A shell collects its children between two commands, so the pid is handed
 * out when the shell has become `cat`, which shows by its echo.
 */
export const childNobodyCollects = async (): Promise<number> => {
  const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  atEnd(() => parent.kill('SIGKILL'));
  const lines = createInterface({ input: parent.stdout });
  const [pid] = await once(lines, 'line');
  const echoed = once(lines, 'line');
  parent.stdin.write('echo\n');
  expect(await echoed).toEqual(['echo']);
  return Number(pid);
};
