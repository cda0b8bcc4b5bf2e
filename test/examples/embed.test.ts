import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { EngineProcess } from '../support/engine-process.ts';

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of cleanups.splice(0)) await resource[Symbol.asyncDispose]();
});

it('the example in examples/embed.ts does what it says', async () => {
  const engine = await EngineProcess.start();
  cleanups.push(engine);
  const example = promisify(execFile)(process.execPath, ['examples/embed.ts', `http://${engine.grpcAddress}`], {
    timeout: 20_000,
  });
  const { stdout } = await example;
  expect(stdout).toContain('loaded what was saved, byte for byte');
  expect(stdout).toContain('stopped: clean, clean');
  expect((await engine.http('GET', '/instances')).text).toBe('{"instances":[]}');
});
