import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { identifyProcess } from '../../src/demo/leaks.ts';
import { descendantsOf } from '../stories/demo-process.ts';
import { canBlind } from '../support/netns.ts';
import { eventually, within } from '../support/within.ts';
import type { SoakSummary } from './summary.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
/** Begins with a server that is killed while its pid is invisible, a killed proxy, and two more crashes. */
const SEED = '128229';
/** Begins with a fault of seconds that no process ends by. */
const SLOW_SEED = '15';

const started: ChildProcessByStdio<null, Readable, Readable>[] = [];

function startSoak(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  return child;
}

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

describe('the soak', () => {
  test('S-54 S-65 random faults leave no wrong byte, no lost request and nothing behind', {
    timeout: 200_000,
  }, async () => {
    const child = startSoak('--minutes', '0.3', '--seed', SEED, '--json');
    const [stdout, stderr, [code]] = await within(
      190_000,
      'the soak',
      Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]),
    );
    const summary = JSON.parse(stdout) as SoakSummary;
    expect(summary.defects, stderr).toEqual([]);
    expect(Object.entries(summary.zeros).filter(([, count]) => count !== 0)).toEqual([]);
    expect(summary).toMatchObject({ ok: true, seed: Number(SEED) });
    expect(summary.recoveries).toBeGreaterThan(0);
    expect(summary.blindRounds > 0).toBe(canBlind());
    expect(summary.faults.map(({ kind }) => kind)).toContain('proxy killed');
    expect(summary.traffic.verifiedBytes).toBeGreaterThan(0);
    expect(code).toBe(0);
  });

  test('a value that cannot be is said in one line', { timeout: 60_000 }, async () => {
    const child = startSoak('--minutes', 'soon');
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect(stderr).toBe("error: option '--minutes <n>' argument 'soon' is invalid. Expected a number above 0.\n");
    expect(code).toBe(2);
  });

  test('Ctrl-C ends everything', { timeout: 120_000 }, async () => {
    const child = startSoak('--minutes', '5', '--seed', SLOW_SEED);
    child.stdout.resume();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    await eventually('the traffic', () => (stderr.includes('serving') ? true : null), 60_000);
    const processes = descendantsOf(child.pid ?? 0);
    expect(processes.length).toBeGreaterThan(0);
    child.kill('SIGINT');
    const [code] = await within(60_000, 'the end', once(child, 'exit'));
    expect(code).toBe(130);
    await eventually('its processes to end', () =>
      processes.every(({ pid, startTime }) => identifyProcess(pid)?.startTime !== startTime) ? true : null,
    );
  });
});
