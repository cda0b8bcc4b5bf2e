import { describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/demo/report.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { atEnd, own } from '../support/own.ts';
import { type CommandProcess, startCommand } from './demo-process.ts';

const RUN_TIMEOUT_MS = 120_000;
const NOTHING_WRONG = {
  wrongBytes: 0,
  hungCalls: 0,
  requestsReportedOtherThanOnce: 0,
  leakedProcesses: 0,
  leakedSharedMemory: 0,
  leakedSockets: 0,
};

function startDemo(...args: string[]): CommandProcess {
  const demo = startCommand('demo', ...args);
  atEnd(async () => {
    demo.child.kill('SIGTERM');
    await demo.ended;
  });
  return demo;
}

const loadsOf = (engine: EngineProcess) =>
  expect.poll(() => engine.rpcCount('load', 'ok'), { timeout: RUN_TIMEOUT_MS });

describe('the demo with a server of others', { timeout: RUN_TIMEOUT_MS }, () => {
  test('reports an outage that it did not make, until Ctrl-C', async () => {
    const pool = { poolSizeBytes: 2 ** 30 };
    const first = own(await EngineProcess.start(pool));
    const demo = startDemo('--endpoint', `http://${first.grpcAddress}`, '--pool-size', '1gb', '--json');
    await loadsOf(first).toBeGreaterThan(4);
    first.signal('SIGKILL');
    await first.exited;
    const second = own(await EngineProcess.start({ ...pool, addr: first.grpcAddress }));
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
    const engine = own(await EngineProcess.start({ poolSizeBytes: 2 ** 30 }));
    const endpoint = `http://${engine.grpcAddress}`;
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
    const engine = own(await EngineProcess.start({ poolSizeBytes: 2 ** 30 }));
    const demo = startDemo('--endpoint', `http://${engine.grpcAddress}`, '--json');
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
