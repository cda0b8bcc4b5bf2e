import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { atEnd } from '../support/own.ts';
import { within } from '../support/within.ts';

const mainPath = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

const END_TIMEOUT_MS = 50_000;

/** The bench as a process of its own, killed at the end of the test. */
export function startBench(...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
  const child = spawn(process.execPath, [mainPath, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  atEnd(() => child.kill('SIGKILL'));
  return child;
}

export async function runBench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = startBench(...args);
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const [stdout, stderr, [code]] = await within(END_TIMEOUT_MS, 'the bench', ended);
  return { code, stdout, stderr };
}
