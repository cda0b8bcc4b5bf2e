import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { PEGAFLOW_VERSION } from '../../src/pegaflow-version.ts';
import { eventually, within } from '../support/within.ts';
import { startBench } from './bench-process.ts';

/** Names in /dev/shm of the device memory that this process allocated. */
const deviceMemoryOf = (pid: number) =>
  readdirSync('/dev/shm').filter((name) => name.startsWith(`pegaflow_dev_${pid}_`));

/** Processes that this one started and that are there. */
const childrenOf = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);

describe('the bench', () => {
  it('prints one JSON object and leaves no device memory', { timeout: 60_000 }, async () => {
    const child = startBench('--only', 'degraded', '--quick', '--json');
    const [stdout, [code]] = await within(50_000, 'the bench', Promise.all([text(child.stdout), once(child, 'close')]));
    expect(code).toBe(0);
    const { sections, server, notRun } = JSON.parse(stdout);
    expect({ server, notRun }).toEqual({
      server: { name: 'engine', version: PEGAFLOW_VERSION, path: null },
      notRun: {},
    });
    expect(Object.keys(sections)).toEqual(['degraded']);
    expect(sections.degraded[0]).toMatchObject({ name: 'query while degraded', unit: 'µs', samples: 50 });
    expect(sections.degraded[0].value).toBeGreaterThan(0);
    expect(deviceMemoryOf(child.pid!)).toEqual([]);
  });

  it('refuses a section that it does not have', { timeout: 60_000 }, async () => {
    const child = startBench('--only', 'nonsense');
    const [stderr, [code]] = await within(50_000, 'the bench', Promise.all([text(child.stderr), once(child, 'close')]));
    expect(code).toBe(2);
    expect(stderr).toContain('Allowed choices are recovery, query, degraded, idle, memory');
  });

  it('ends at Ctrl-C and leaves no engine and no device memory', { timeout: 60_000 }, async () => {
    const child = startBench('--only', 'recovery', '--quick');
    child.stdout.resume();
    const lines = createInterface(child.stderr);
    const progress = await within(50_000, 'the first round', once(lines, 'line'));
    expect(progress[0]).toContain('round 0');
    const engines = childrenOf(child.pid!);
    expect(engines.length).toBeGreaterThan(0);
    expect(deviceMemoryOf(child.pid!).length).toBeGreaterThan(0);
    child.kill('SIGINT');
    const [code] = await within(20_000, 'the end', once(child, 'exit'));
    expect(code).toBe(130);
    expect(deviceMemoryOf(child.pid!)).toEqual([]);
    await eventually('the engines to be gone', () =>
      engines.every((pid) => !existsSync(`/proc/${pid}`)) ? true : null,
    );
  });
});
