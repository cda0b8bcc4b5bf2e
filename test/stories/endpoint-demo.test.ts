import { describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/demo/report/report.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { endpointOf, kill, startEngine, successorOf } from '../support/story.ts';
import { NOTHING_LEFT, startDemoWith as startDemo } from './demo-process.ts';

const RUN_TIMEOUT_MS = 120_000;
const NOTHING_WRONG = {
  wrongBytes: 0,
  hungCalls: 0,
  requestsReportedOtherThanOnce: 0,
  ...NOTHING_LEFT,
};

const loadsOf = (engine: ServerProcess) =>
  expect.poll(() => engine.rpcCount('load', 'ok'), { timeout: RUN_TIMEOUT_MS });

describe('the demo with a server of others', { timeout: RUN_TIMEOUT_MS }, () => {
  test('reports an outage that it did not make, until Ctrl-C', async () => {
    const pool = { poolSizeBytes: 2 ** 30 };
    const first = await startEngine(pool);
    const demo = startDemo('--endpoint', endpointOf(first), '--pool-size', '1gb', '--json');
    await loadsOf(first).toBeGreaterThan(4);
    await kill(first);
    const second = await successorOf(first, pool);
    await loadsOf(second).toBeGreaterThan(4);
    demo.child.kill('SIGINT');
    const { code, stdout } = await demo.ended;
    const report = JSON.parse(stdout) as RunReport;
    expect(report).toMatchObject({
      ok: true,
      zeros: NOTHING_WRONG,
      oracle: { comparable: true, disagreements: [] },
      serverLog: null,
    });
    expect(report.restarts.map(({ stop }) => stop)).toEqual(['elsewhere']);
    expect(report.restarts[0]?.awayMs).toBeGreaterThan(0);
    expect(report.restarts[0]?.registeredMs).toBeGreaterThanOrEqual(0);
    expect(report.verifiedBlocks).toBe(report.loadedBlocks);
    expect(code).toBe(0);
    expect((await second.http('GET', '/instances')).text).toBe('{"instances":[]}');
  });

  test('ends by itself after so many requests or seconds, and demands no hit of a pool that it does not know', async () => {
    const engine = await startEngine({ poolSizeBytes: 2 ** 30 });
    const endpoint = endpointOf(engine);
    for (const limit of [
      ['--requests', '5'],
      ['--seconds', '1'],
    ]) {
      const { code, stdout } = await startDemo('--endpoint', endpoint, ...limit, '--json').ended;
      expect(JSON.parse(stdout)).toMatchObject({
        ok: true,
        zeros: NOTHING_WRONG,
        restarts: [],
        oracle: { comparable: false, atLeastBlocks: 0, disagreements: [] },
      });
      expect(code).toBe(0);
    }
  });

  test('the server is gone at the end: that is an outage, not an error', async () => {
    const engine = await startEngine({ poolSizeBytes: 2 ** 30 });
    const demo = startDemo('--endpoint', endpointOf(engine), '--json');
    await loadsOf(engine).toBeGreaterThan(0);
    engine.signal('SIGKILL');
    await demo.line(/scheduler reconnecting/);
    demo.child.kill('SIGINT');
    const { code, stdout, stderr } = await demo.ended;
    expect(stderr).not.toMatch(/^error/m);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, zeros: NOTHING_WRONG, restarts: [{ stop: 'elsewhere' }] });
    expect(code).toBe(0);
  });
});
