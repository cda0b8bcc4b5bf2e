/** What would prove the death of the server, or that nothing would, and what that means for blocks that are held. */
import { describe, expect, it } from 'vitest';
import { statusText } from '../../../src/cli/output/status-table.ts';
import { startEngine as startInThisProcess } from '../../../src/engine/index.ts';
import { ConnectorFeed } from '../../../src/index.ts';
import { logTable } from '../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { atEnd, own } from '../../support/own.ts';
import { createOwnMemoryDriver } from '../../support/own-memory-driver.ts';
import { startEngine } from '../../support/story.ts';
import { TelemetryRecorder } from '../../support/telemetry-recorder.ts';
import { TestInstance, type TestInstanceOptions } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

const ALL_LINES = ['proofMissing', 'proofFound', 'heldUnprovably'] as const;

async function watched(grpcAddress: string, options: TestInstanceOptions = {}) {
  const log = new LogRecorder();
  const recorder = new TelemetryRecorder();
  const telemetry = { logger: log, meterProvider: recorder.meterProvider };
  const instance = own(new TestInstance(`http://${grpcAddress}`, { ...options, telemetry, instanceId: 'told' }));
  const feed = new ConnectorFeed();
  atEnd(() => feed.close());
  for (const connector of [instance.scheduler, ...instance.workers]) feed.watch(connector);
  instance.start();
  await instance.reached('connected');
  const proofsTold = () => (instance.scheduler.status.proofs.length === instance.workers.length ? true : null);
  await eventually('what all ranks found', proofsTold);
  return {
    instance,
    table: () => statusText(feed.status),
    lines: (line: (typeof ALL_LINES)[number]) => log.lines.filter(({ message }) => message === logTable[line].message),
    measured: async () =>
      (await recorder.collect()).points
        .filter(({ name }) => name === 'pegaflow.connector.proof')
        .map(({ attributes, value }) => [attributes['pegaflow.rank'], attributes['pegaflow.proof'], value]),
  };
}

describe('what would prove the death of the server', { timeout: 60_000 }, () => {
  it('is its process, which nobody has to be told of, also of its successor', async () => {
    const engine = await startEngine();
    const h = await watched(engine.grpcAddress);
    for (const rank of [0, 1]) {
      expect(h.instance.workers[rank]!.status.proofs).toEqual([{ rank, proof: 'process' }]);
      expect(h.instance.workers[rank]!.takeReport().proof).toBe('process');
    }
    engine.signal('SIGKILL');
    await engine.exited;
    await h.instance.reached('reconnecting');
    expect(ALL_LINES.map((line) => h.lines(line).length)).toEqual([0, 0, 0]);
    expect(h.table()).not.toContain('proof');
  });

  it('is none where nobody is seen to hold the memory: told once a rank, measured and shown, with what to do', async () => {
    const driver = createOwnMemoryDriver();
    // In this very process: the other end of the connection is seen, and is nobody who maps memory for us.
    const engine = await startInThisProcess({ addr: '127.0.0.1:0', httpAddr: null, driver });
    atEnd(() => engine.close());
    const h = await watched(engine.grpcAddress, {
      driver,
      serverVersions: 'tested',
      budgets: { transferStalledAfterMs: 200, heldToldAfterMs: 200 },
    });
    const { scheduler, workers } = h.instance;
    expect(scheduler.status.proofs).toEqual([
      { rank: 0, proof: 'proxy' },
      { rank: 1, proof: 'proxy' },
    ]);
    expect(workers[1]?.status.proofs).toEqual([{ rank: 1, proof: 'proxy' }]);
    expect(
      h
        .lines('proofMissing')
        .map(({ level, fields }) => [level, fields['rank'], fields['proof']])
        .sort(),
    ).toEqual([
      ['warn', 0, 'none, a proxy stands between'],
      ['warn', 1, 'none, a proxy stands between'],
    ]);
    expect(logTable.proofMissing.message).toMatch(/pid namespace.*direct: true.*fencing/);
    expect((await h.measured()).sort()).toEqual([
      [0, 'proxy', 1],
      [1, 'proxy', 1],
    ]);
    expect(h.table()).toContain('told/scheduler: nothing would prove to rank 0, 1 that the server is dead');
    expect(h.table()).toContain('proof: none, a proxy stands between');

    engine.faults.merge({ copyDelayMs: 60_000 });
    for (const [n, blockId] of [2, 3].entries()) {
      const requestId = `held${n}`;
      scheduler.scheduleSave({ requestId, blockIds: [blockId], blockHashes: hashesOf(1, requestId) });
      h.instance.step();
    }
    await eventually('the word on what is held', () => (h.lines('heldUnprovably').length === 2 ? true : null));
    await eventually('the limit', () => scheduler.status.heldLimit);
    expect(h.lines('heldUnprovably')[0]).toMatchObject({
      level: 'warn',
      fields: { proof: 'none, a proxy stands between' },
    });
    for (const way of ['pid namespace', 'direct: true', 'fencing', 'unsafeReleaseAfterMs', 'restart this host']) {
      expect(logTable.heldUnprovably.message).toContain(way);
    }
    expect(workers.map((worker) => worker.stats.unsafeReleases)).toEqual([0, 0]);
    expect([h.lines('proofMissing').length, h.lines('heldUnprovably').length]).toEqual([2, 2]);
  });
});
