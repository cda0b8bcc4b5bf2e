import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { countLeaks, type ProcessIdentity } from '../../src/demo/leaks.ts';
import type { RunReport } from '../../src/demo/report.ts';
import { atEnd } from '../support/own.ts';
import { type CommandProcess, descendantsOf, startCommand } from './demo-process.ts';

const RUN_TIMEOUT_MS = 150_000;
const END_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 20;

const folder = mkdtempSync(join(tmpdir(), 'pegaflow-server-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file that the demo takes for a server. */
function script(name: string, lines: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, mode);
  return path;
}

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const ENGINE = `"${process.execPath}" "${MAIN}" engine --no-metrics --log-level warn "$@"`;

/** Becomes the server. */
const server = script('server', `exec ${ENGINE}`);
/** Has the server as a child, as the console script of the package does. */
const wrapper = script('wrapper', `${ENGINE}\nexit $?`);
/** Starts another server whenever one ends. */
const supervisor = script('supervisor', `while :; do ${ENGINE}; done`);

function startDemo(...args: string[]): CommandProcess {
  const demo = startCommand('demo', ...args);
  atEnd(async () => {
    demo.child.kill('SIGTERM');
    await demo.ended;
  });
  return demo;
}

const NOTHING = { leakedProcesses: 0, leakedSharedMemory: 0, leakedSockets: 0 };
const SMALL = ['--requests', '30', '--restarts', '3', '--outage-ms', '0..300'];

/** What is left of these processes once they have had the time to end. */
async function leftOf(processes: readonly ProcessIdentity[]) {
  const untilMs = performance.now() + END_TIMEOUT_MS;
  for (;;) {
    const leaks = countLeaks(processes, null);
    if (performance.now() > untilMs || Object.values(leaks).every((count) => count === 0)) return leaks;
    await pause(POLL_INTERVAL_MS);
  }
}

describe('the demo with a server of the user', () => {
  test.each([
    ['that is the server itself', server],
    ['that has the server as a child', wrapper],
    ['that starts another server whenever one ends', supervisor],
  ])('kills and drains a command %s', { timeout: RUN_TIMEOUT_MS }, async (_, path) => {
    const log = join(folder, 'server.log');
    const demo = startDemo('--server', path, '--server-log', log, ...SMALL, '--json');
    const { code, stdout, stderr } = await demo.ended;
    const report = JSON.parse(stdout) as RunReport;
    expect(report).toMatchObject({
      ok: true,
      zeros: { wrongBytes: 0, hungCalls: 0, requestsReportedOtherThanOnce: 0, ...NOTHING },
      oracle: { comparable: true, disagreements: [] },
    });
    expect(report.restarts.map(({ stop }) => stop)).toEqual(['kill', 'kill at once', 'graceful']);
    for (const restart of report.restarts) expect(restart.firstHitMs).toBeGreaterThan(0);
    expect(report.verifiedBlocks).toBe(report.loadedBlocks);
    // Each generation is probed for a group that cannot exist: one warning at least.
    expect(report.serverLog?.warnings).toBeGreaterThanOrEqual(4);
    const warnings = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"level":40'));
    expect(warnings).toHaveLength(report.serverLog?.warnings ?? -1);
    expect(stderr).toContain('server stopped: graceful');
    expect(code).toBe(0);
  });

  test('gives it the pool, and the flags after "--"', { timeout: RUN_TIMEOUT_MS }, async () => {
    const flags = join(folder, 'flags');
    const path = script('noted', `echo "$@" > ${flags}\nexec ${ENGINE}`);
    const args = ['--server', path, '--pool-size', '64mb', '--restarts', '0', '--requests', '3'];
    expect((await startDemo(...args, '--', '--lease-ttl-ms', '9000').ended).code).toBe(0);
    expect(readFileSync(flags, 'utf8')).toMatch(/--pool-size 67108864 --lease-ttl-ms 9000\n$/);
  });

  test.each([
    ['killed', 'SIGKILL'],
    ['interrupted', 'SIGINT'],
  ] as const)('%s, it takes the server and its starter along', { timeout: RUN_TIMEOUT_MS }, async (_, signal) => {
    const demo = startDemo('--server', wrapper, ...SMALL);
    await demo.line(/scheduler connected/);
    const processes = descendantsOf(demo.child.pid ?? 0);
    // The host of the server, its starter, the server; the scheduler and two workers.
    expect(processes).toHaveLength(6);
    demo.child.kill(signal);
    await demo.ended;
    expect(await leftOf(processes)).toEqual(NOTHING);
  });

  test('interrupted while it waits for a server that never listens, it leaves nothing', async () => {
    const demo = startDemo('--server', script('silent', 'sleep 1000'), ...SMALL);
    await demo.line(/device memory/);
    await expect.poll(() => descendantsOf(demo.child.pid ?? 0).length, { timeout: END_TIMEOUT_MS }).toBe(6);
    const processes = descendantsOf(demo.child.pid ?? 0);
    demo.child.kill('SIGINT');
    expect(await demo.ended).toMatchObject({ code: 130, stdout: '' });
    expect(await leftOf(processes)).toEqual(NOTHING);
  });

  test.each<[string, string[], number, RegExp]>([
    [
      'a path where nothing is',
      ['--server', '/nowhere/server'],
      2,
      /--server \/nowhere\/server: there is no such file$/,
    ],
    ['a folder', ['--server', folder], 2, /: is no file$/],
    [
      'a file that cannot be executed',
      ['--server', script('plain', '', 0o644)],
      2,
      /: is not executable \(chmod \+x\)$/,
    ],
    [
      'a name that no folder of the PATH has',
      ['--server', 'no-such-server'],
      2,
      /no such command on the PATH; give the path of a server, or "engine"$/,
    ],
    [
      "an address of the server's",
      ['--server', server, '--', '--addr', '127.0.0.1:1'],
      2,
      /--addr after "--": the demo chooses it$/,
    ],
    [
      "a pool of the server's",
      ['--server', server, '--', '--pool-size=1gb'],
      2,
      /--pool-size=1gb after "--": give --pool-size to the demo/,
    ],
    [
      'a log that cannot be written',
      ['--server', server, '--server-log', '/nowhere/log'],
      2,
      /--server-log \/nowhere\/log: ENOENT$/,
    ],
    [
      'an argument that is no flag',
      ['elsewhere'],
      2,
      /unexpected argument "elsewhere"; flags of the server come after "--"$/,
    ],
    ['a time without an endpoint', ['--seconds', '3'], 2, /--seconds needs --endpoint$/],
    [
      'restarts of a server of others',
      ['--endpoint', 'http://127.0.0.1:9', '--restarts', '1'],
      2,
      /--restarts and --endpoint exclude each other/,
    ],
    [
      'a server and an endpoint',
      ['--endpoint', 'http://127.0.0.1:9', '--server', server],
      2,
      /--server and --endpoint exclude each other/,
    ],
    ['an endpoint that is no URL', ['--endpoint', 'nowhere'], 2, /Expected http:\/\/host:port/],
    [
      'an endpoint where nobody answers',
      ['--endpoint', 'http://127.0.0.1:9', '--seconds', '1'],
      1,
      /no pegaflow-server answers at .*; start it first$/,
    ],
    [
      'a server that ends at once',
      ['--server', script('broken', 'echo "cannot find the GPU" >&2; exit 3')],
      1,
      /\(exit status 3\): cannot find/,
    ],
    [
      'a server that does not know a flag',
      ['--server', server, '--', '--bogus'],
      1,
      /the server did not start \(exit status 2\): .*unknown option '--bogus'/,
    ],
    [
      'a server of another version',
      ['--server', server, '--', '--server-version', '9.9.9'],
      1,
      /do not work with this server: .*9\.9\.9/,
    ],
  ])('refuses %s in one line', { timeout: 60_000 }, async (_, args, status, complaint) => {
    const { code, stdout, stderr } = await startDemo(...args).ended;
    const errors = stderr
      .trim()
      .split('\n')
      .filter((line) => !/^ *\d+\.\d{3} s {2}/.test(line));
    expect(errors).toEqual([expect.stringMatching(complaint)]);
    expect([code, stdout]).toEqual([status, '']);
  });
});
