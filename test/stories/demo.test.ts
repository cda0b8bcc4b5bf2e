import { describe, expect, test } from 'vitest';
import { descendantsOf, leftOf, NOTHING_LEFT, reportIn, serverUnderTest, startDemo } from './demo-process.ts';

const RUN_TIMEOUT_MS = 150_000;
const SMALL = ['--requests', '40', '--restarts', '3', '--outage-ms', '0..300'];

describe('the demo', () => {
  test.each([
    ['two ranks', ['--ranks', '2']],
    ['ranks that share their blocks', ['--ranks', '2', '--model', 'deepseek-v3', '--requests', '20']],
  ])('with %s: no byte is wrong after three restarts', { timeout: RUN_TIMEOUT_MS }, async (_, args) => {
    const ended = await startDemo(...SMALL, ...args, '--json').ended;
    const report = reportIn(ended);
    expect(report).toMatchObject({
      ok: true,
      zeros: { wrongBytes: 0, hungCalls: 0, requestsReportedOtherThanOnce: 0, ...NOTHING_LEFT },
      oracle: { comparable: true, disagreements: [] },
    });
    expect(ended.code).toBe(0);
    expect(ended.stdout.trim().split('\n')).toHaveLength(1);
    expect(report.restarts.map(({ stop }) => stop)).toEqual(['kill', 'kill at once', 'graceful']);
    for (const restart of report.restarts) {
      expect(restart.detectionMs).toBeGreaterThan(0);
      expect(restart.registeredMs).toBeGreaterThan(0);
      expect(restart.firstHitMs).toBeGreaterThan(0);
    }
    expect(report.loadedBlocks).toBeGreaterThan(0);
    expect(report.verifiedBlocks).toBe(report.loadedBlocks);
  });

  test.each<[string, RegExp]>([
    ['while it starts', /(engine|server) listening/],
    ['under traffic', /scheduler connected/],
    ['while the engine is away', /(engine|server) stopped/],
  ])('Ctrl-C %s ends everything', { timeout: RUN_TIMEOUT_MS }, async (_, moment) => {
    const demo = startDemo('--outage-ms', '2000', '--requests', '40', '--restarts', '1');
    await demo.line(moment);
    const processes = descendantsOf(demo.child.pid ?? 0);
    demo.child.kill('SIGINT');
    const { code, stdout, stderr } = await demo.ended;
    expect(code).toBe(130);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/interrupted\n$/);
    expect(processes.length).toBeGreaterThan(0);
    expect(await leftOf(processes)).toEqual(NOTHING_LEFT);
  });

  test('killed, it takes everything along', { timeout: RUN_TIMEOUT_MS }, async () => {
    const demo = startDemo(...SMALL);
    await demo.line(/scheduler connected/);
    const processes = descendantsOf(demo.child.pid ?? 0);
    // The scheduler, two workers and the engine; or a published server and the process that keeps it.
    expect(processes).toHaveLength(serverUnderTest === null ? 4 : 5);
    demo.child.kill('SIGKILL');
    await demo.ended;
    expect(await leftOf(processes)).toEqual(NOTHING_LEFT);
  });

  test('sweeps what a killed run left behind', { timeout: RUN_TIMEOUT_MS }, async () => {
    const killed = startDemo(...SMALL);
    await killed.line(/scheduler connected/);
    const processes = descendantsOf(killed.child.pid ?? 0);
    for (const { pid } of processes) process.kill(pid, 'SIGKILL');
    killed.child.kill('SIGKILL');
    await killed.ended;
    const next = startDemo('--restarts', '0', '--requests', '1');
    await next.line(/(engine|server) listening/);
    expect(await leftOf(processes)).toEqual(NOTHING_LEFT);
  });
});
