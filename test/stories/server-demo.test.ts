import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  descendantsOf,
  leftOf,
  NOTHING_LEFT,
  reportIn,
  serverUnderTest,
  startDemoWith as startDemo,
} from './demo-process.ts';
import { ENGINE, ServerScripts } from './server-scripts.ts';

const RUN_TIMEOUT_MS = 150_000;

const SERVER = serverUnderTest === null ? ENGINE : `"${serverUnderTest.path}" ${serverUnderTest.flags.join(' ')} "$@"`;
const isWarning = (line: string) =>
  serverUnderTest === null ? line.includes('"level":40') : / WARN /.test(stripVTControlCharacters(line));

const scripts = new ServerScripts();
/** Becomes the server. */
const server = scripts.write('server', `exec ${SERVER}`);
/** Has the server as a child, as the console script of the package does. */
const wrapper = scripts.write('wrapper', `${SERVER}\nexit $?`);
/** Starts another server whenever one ends. */
const supervisor = scripts.write('supervisor', `while :; do ${SERVER}; done`);

const SMALL = ['--requests', '30', '--restarts', '3', '--outage-ms', '0..300'];

describe('the demo with a server of the user', () => {
  test.each([
    ['that is the server itself', server],
    ['that has the server as a child', wrapper],
    ['that starts another server whenever one ends', supervisor],
  ])('kills and drains a command %s', { timeout: RUN_TIMEOUT_MS }, async (_, path) => {
    const log = join(scripts.folder, 'server.log');
    const demo = startDemo('--server', path, '--server-log', log, ...SMALL, '--json');
    const ended = await demo.ended;
    const report = reportIn(ended);
    expect(report).toMatchObject({
      ok: true,
      zeros: { wrongBytes: 0, hungCalls: 0, requestsReportedOtherThanOnce: 0, ...NOTHING_LEFT },
      oracle: { comparable: true, disagreements: [] },
    });
    expect(report.restarts.map(({ stop }) => stop)).toEqual(['kill', 'kill at once', 'graceful']);
    for (const restart of report.restarts) expect(restart.firstHitMs).toBeGreaterThan(0);
    expect(report.verifiedBlocks).toBe(report.loadedBlocks);
    // Each generation is probed for a group that cannot exist: one warning at least.
    expect(report.serverLog?.warnings).toBeGreaterThanOrEqual(4);
    const warnings = readFileSync(log, 'utf8').split('\n').filter(isWarning);
    expect(warnings).toHaveLength(report.serverLog?.warnings ?? -1);
    expect(ended.stderr).toContain('server stopped: graceful');
    expect(ended.code).toBe(0);
  });

  test('gives it the pool, and the flags after "--"', { timeout: RUN_TIMEOUT_MS }, async () => {
    const flags = join(scripts.folder, 'flags');
    const path = scripts.write('noted', `echo "$@" > ${flags}\nexec ${SERVER}`);
    const args = ['--server', path, '--pool-size', '64mb', '--restarts', '0', '--requests', '3'];
    expect((await startDemo(...args, '--', '--blockwise-alloc').ended).code).toBe(0);
    expect(readFileSync(flags, 'utf8')).toMatch(/--pool-size 67108864 --blockwise-alloc\n$/);
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
    expect(await leftOf(processes)).toEqual(NOTHING_LEFT);
  });
});
