/** What is held for a server that is silent or gone is bounded by amount. */
import { describe, expect, it } from 'vitest';
import { SchedulerConnector } from '../../../src/connector/index.ts';
import { Quarantine } from '../../../src/connector/transfers/quarantine.ts';
import { logTable } from '../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { own } from '../../support/own.ts';
import { startEngine, successorOf } from '../../support/story.ts';
import { TelemetryRecorder } from '../../support/telemetry-recorder.ts';
import { TestInstance, type TestInstanceOptions } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

const kept = hashesOf(2, 'kept');

/** An instance in service whose next saves the server takes and does not end. */
async function holding(options: TestInstanceOptions = {}) {
  const engine = await startEngine();
  const log = new LogRecorder();
  const recorder = new TelemetryRecorder();
  const telemetry = { logger: log, meterProvider: recorder.meterProvider };
  const budgets = { transferStalledAfterMs: 300 };
  const given = { worldSize: 2, telemetry, budgets, ...options };
  const instance = own(new TestInstance(`http://${engine.grpcAddress}`, given).start());
  await instance.reached('connected');
  await instance.save('kept', [0, 1], kept);
  await instance.hit('asks', kept);
  await engine.fault({ copyDelayMs: 60_000, copyAfterCloseMs: 60_000 });
  return {
    engine,
    instance,
    hold: (requestId: string, blockIds: readonly number[], groupId = 0) => {
      const blockHashes = hashesOf(blockIds.length, requestId);
      const isScheduled = instance.scheduler.scheduleSave({ requestId, groupId, blockIds, blockHashes });
      instance.step();
      return isScheduled;
    },
    held: () => instance.workers.map((worker) => worker.takeReport().held?.blocks ?? 0),
    ask: (requestId: string) => instance.scheduler.query({ requestId, blockHashes: kept }),
    lines: (line: keyof typeof logTable) => log.lines.filter(({ message }) => message === logTable[line].message),
    limit: async () =>
      (await recorder.collect()).points.find(({ name }) => name === 'pegaflow.connector.held_limit')?.value,
  };
}

describe('the limit of what is held', { timeout: 60_000 }, () => {
  it('S-79: at a quarter of a rank’s blocks nothing is saved and queries miss, until the server is proved dead', async () => {
    const h = await holding();
    const { scheduler } = h.instance;
    h.hold('a', [2]);
    h.hold('again', [2]);
    await eventually('what is held', () => (h.held().every((blocks) => blocks === 1) ? true : null));
    expect(scheduler.status.heldLimit).toBeNull();
    expect([await h.ask('asks'), scheduler.takesSaves]).toEqual([{ kind: 'hit', blocks: 2 }, true]);

    expect(h.hold('b', [5])).toBe(true);
    const limit = await eventually('the limit', () => scheduler.status.heldLimit);
    expect(limit.fault.message).toMatch(/holds 2 of its 8 blocks of group 0 .*proof: the end of its process/);
    expect(scheduler.status.state).toBe('connected');
    expect(await h.ask('asks')).toEqual({ kind: 'miss', reason: 'heldLimit' });
    expect([scheduler.takesSaves, h.hold('c', [6])]).toEqual([false, false]);
    expect([h.lines('heldLimitReached').length, h.lines('heldLimitLeft').length, await h.limit()]).toEqual([1, 0, 1]);
    expect(h.lines('heldLimitReached')[0]).toMatchObject({ level: 'warn' });

    h.engine.signal('SIGKILL');
    await h.engine.exited;
    await eventually('the end of the limit', () => (scheduler.status.heldLimit === null ? true : null));
    await successorOf(h.engine);
    await h.instance.reached('connected');
    await h.instance.save('anew', [0, 1], kept);
    await h.instance.hit('asks', kept);
    expect([h.lines('heldLimitReached').length, h.lines('heldLimitLeft').length, await h.limit()]).toEqual([1, 1, 0]);
  });

  it('S-79: counts in any group, and as the host says', async () => {
    const h = await holding({ worldSize: 1, layerGroupIds: [0, 1], maxHeldBlocksShare: 0.2 });
    h.hold('a', [2], 1);
    await eventually('what is held', () => (h.held()[0] === 1 ? true : null));
    expect(h.instance.scheduler.status.heldLimit).toBeNull();
    h.hold('b', [3], 1);
    const { fault } = await eventually('the limit', () => h.instance.scheduler.status.heldLimit);
    expect(fault.message).toContain('holds 2 of its 8 blocks of group 1');
  });

  it('S-79: the traffic of a living link does not count', async () => {
    const h = await holding({ budgets: {} });
    for (const [n, blockIds] of [[2, 3, 4], [5, 6], [7]].entries()) h.hold(`n${n}`, blockIds);
    await h.engine.http('GET', '/faults');
    h.instance.step();
    expect([h.held(), h.instance.scheduler.takesSaves]).toEqual([[0, 0], true]);
  });

  it.each([0, -1, 1.01, Number.NaN])('a share of %s is an error', (maxHeldBlocksShare) => {
    const options = { endpoint: 'http://127.0.0.1:1', instanceId: 'a', namespace: 'a', worldSize: 1, tpSize: 1 };
    expect(() => new SchedulerConnector({ ...options, maxHeldBlocksShare })).toThrow('maxHeldBlocksShare');
  });

  it('counts a block once, whatever touches it, and tells the group of which most is held', () => {
    const quarantine = new Quarantine();
    const subject = (requestId: string) => ({ kind: 'save', requestId, blockIds: [] }) as const;
    const [a, b, c] = [subject('a'), subject('b'), subject('c')];
    expect(quarantine.held).toBeUndefined();
    quarantine.enter(a, [
      { groupId: 0, blockIds: [1, 2, 3], ofBlocks: 16 },
      { groupId: 1, blockIds: [1], ofBlocks: 4 },
    ]);
    expect(quarantine.held).toEqual({ groupId: 1, blocks: 1, ofBlocks: 4 });
    quarantine.enter(b, [{ groupId: 0, blockIds: [3, 3, 4, 5], ofBlocks: 16 }]);
    quarantine.enter(c, [{ groupId: 0, blockIds: [], ofBlocks: 16 }]);
    expect(quarantine.held).toEqual({ groupId: 0, blocks: 5, ofBlocks: 16 });
    quarantine.leave(a, 'answer');
    expect(quarantine.held).toEqual({ groupId: 0, blocks: 3, ofBlocks: 16 });
    quarantine.leave(b, 'answer');
    quarantine.leave(c, 'answer');
    expect(quarantine.held).toBeUndefined();
  });
});
