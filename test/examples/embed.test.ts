import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { sweepSharedMemory } from '../../native-bindings/index.ts';
import { startEngine } from '../support/story.ts';
import { within } from '../support/within.ts';

it('without a server the example says what it looks for, and Ctrl-C ends it', async () => {
  const args = ['examples/embed.ts', 'http://127.0.0.1:1'];
  const example = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(example, 'exit');
  try {
    const [line] = await within(20_000, 'its first line', once(createInterface(example.stdout), 'line'));
    expect(line).toBe('looking for a server at http://127.0.0.1:1');
    example.kill('SIGINT');
    expect(await within(5_000, 'its end', ended)).toEqual([null, 'SIGINT']);
  } finally {
    example.kill('SIGKILL');
    await ended;
    sweepSharedMemory();
  }
});

it('the example in examples/embed.ts does what it says', async () => {
  const engine = await startEngine();
  const example = promisify(execFile)(process.execPath, ['examples/embed.ts', `http://${engine.grpcAddress}`], {
    timeout: 20_000,
  });
  const { stdout } = await example;
  expect(stdout).toContain('loaded what was saved, byte for byte');
  expect(stdout).toContain('stopped: clean, clean');
  expect((await engine.http('GET', '/instances')).text).toBe('{"instances":[]}');
});
