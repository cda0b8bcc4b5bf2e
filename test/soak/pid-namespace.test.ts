import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { missing } from '../support/missing.ts';
import { BLIND_LAUNCHER, canBlind } from '../support/netns.ts';
import { own } from '../support/own.ts';
import { eventually } from '../support/within.ts';
import { pidNamespaceBelow } from './pid-namespace.ts';

const blindness = missing('a PID namespace (unshare)', canBlind());

it.skipIf(blindness)('a process in a PID namespace is known outside by its pid there, until it ends', async () => {
  const [command, ...args] = [...BLIND_LAUNCHER, 'sh', '-c', 'sleep 1000 & wait'];
  const launcher = spawn(command!, args);
  const ended = once(launcher, 'exit');
  own({
    [Symbol.asyncDispose]: async () => {
      launcher.kill('SIGKILL');
      await ended;
    },
  });
  const pids = await eventually('both processes', () => {
    const found = pidNamespaceBelow(launcher.pid!).pidsHere([1, 2]);
    return found.length === 2 && commandOf(found[1]!) === 'sleep' ? found : null;
  });
  expect(pids.map(commandOf)).toEqual(['sh', 'sleep']);
  const namespace = pidNamespaceBelow(launcher.pid!);
  expect(namespace.pidsHere([3])).toEqual([]);
  launcher.kill('SIGKILL');
  await ended;
  await eventually('their end', () => (namespace.pidsHere([1, 2]).length === 0 ? true : null));
});

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}
