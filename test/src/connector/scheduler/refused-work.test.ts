/** A refusal is about the work that was refused: it is stopped, and a promise is taken back when using it fails. */
import { describe, expect, it } from 'vitest';
import { budgetsFrom, type RankReport } from '../../../../machines/index.ts';
import type { ConnectorStatus } from '../../../../src/connector/index.ts';
import type { LoadIntent } from '../../../../src/connector/metadata.ts';
import type { Breakers } from '../../../../src/connector/scheduler/breakers.ts';
import { RefusedWork } from '../../../../src/connector/scheduler/refused-work.ts';
import { logTable } from '../../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../../support/engine-rank.ts';
import { LogRecorder } from '../../../support/log-recorder.ts';
import { own } from '../../../support/own.ts';
import { startEngine } from '../../../support/story.ts';
import { TestInstance, type TestInstanceOptions } from '../../../support/test-instance.ts';
import { eventually } from '../../../support/within.ts';

const noRecord = { code: 13, message: 'storage error: LoadState: failed to open shared memory' };

async function connected(worldSize = 1, budgets: NonNullable<TestInstanceOptions['budgets']> = {}) {
  const engine = await startEngine({ hasRpcFaults: true });
  const log = new LogRecorder();
  const endpoint = `http://${engine.grpcAddress}`;
  const instance = own(new TestInstance(endpoint, { worldSize, budgets, telemetry: { logger: log } }).start());
  await instance.reached('connected');
  const { scheduler, workers } = instance;
  const { epoch } = scheduler.status;
  return {
    engine,
    instance,
    isUntouched: () => scheduler.status.state === 'connected' && scheduler.status.epoch === epoch,
    openBreakers: () => scheduler.status.openBreakers.map(({ breaker }) => breaker),
    lines: (message: string) => log.lines.filter((line) => line.message === message).length,
    savesSent: () => workers[0]!.stats.saves.succeeded + workers[0]!.stats.saves.failed,
    /** Saves one block under a hash of its own, if saves are taken. */
    save: async (name: string) => {
      scheduler.scheduleSave({ requestId: name, blockIds: [0], blockHashes: hashesOf(1, name) });
      if (instance.finish(name)) await instance.ended(name, 'saved');
    },
    query: (requestId: string, name: string) => scheduler.query({ requestId, blockHashes: hashesOf(1, name) }),
    /** Asks and loads; what the query found, or that the load failed. */
    load: async (requestId: string, name: string) => {
      const outcome = await scheduler.query({ requestId, blockHashes: hashesOf(1, name) });
      if (outcome.kind !== 'hit') return outcome.kind === 'miss' ? outcome.reason : outcome.kind;
      scheduler.scheduleLoad(requestId, [1]);
      const { failedLoads } = await instance.ended(requestId, 'loaded');
      return failedLoads.includes(requestId) ? 'load failed' : 'loaded';
    },
    status: (isWanted: (status: ConnectorStatus) => boolean) =>
      eventually('the status', () => (isWanted(scheduler.status) ? true : null)),
  };
}

describe('saves that the server refuses', () => {
  it.each([
    [
      'for want of room in its pool',
      { code: 13, message: 'storage error: pinned pool exhausted while allocating 64 bytes' },
    ],
    ['because it lacks the method', { code: 12, message: '' }],
    ['in words that nobody knows', { code: 5, message: 'the shelf 17 is missing' }],
  ])('S-74 %s are turned off, told once, and nothing else stops', async (_, refuse) => {
    const h = await connected(2);
    await h.save('kept');
    await h.instance.hit('waits', hashesOf(1, 'kept'));
    h.instance.scheduler.release('waits');
    await h.engine.fault({ methods: { save: { refuse } } });
    const before = h.savesSent();
    for (let n = 0; n < 20; n += 1) await h.save(`n${n}`);
    expect(h.savesSent() - before).toBeLessThanOrEqual(3);
    expect([h.openBreakers(), h.lines(logTable.breakerOpened.message)]).toEqual([['saves'], 1]);
    expect([await h.load('reads', 'kept'), h.isUntouched()]).toEqual(['loaded', true]);
    await h.engine.fault({ methods: { save: null } });
    await eventually('saves that are taken again', async () => {
      await h.save('again');
      return h.openBreakers().length === 0 ? true : null;
    });
    expect(h.lines(logTable.breakerClosed.message)).toBe(1);
  });
});

it('S-32 S-74 saves behind four that are never answered are turned off at once, told once, and tried until they are', async () => {
  const h = await connected(1, { transferStalledAfterMs: 200, saveWaitTimeoutMs: 60_000 });
  const { scheduler } = h.instance;
  await h.engine.fault({ methods: { save: { hang: true } } });
  const hung = ['a', 'b', 'c', 'd'];
  for (const name of hung) {
    scheduler.scheduleSave({ requestId: name, blockIds: [0], blockHashes: hashesOf(1, name) });
    h.instance.finish(name);
  }
  h.instance.step();
  const [worker] = h.instance.workers;
  await eventually('the stall', () => (worker!.quarantine('save').blocks === hung.length ? true : null));
  await eventually('saves that are turned off', async () => {
    await h.save('one more');
    return h.openBreakers().includes('saves') ? true : null;
  });
  expect(scheduler.takesSaves).toBe(false);
  expect([h.lines(logTable.breakerOpened.message), h.isUntouched()]).toEqual([1, true]);
  await h.engine.fault({ methods: { save: null } });
  await eventually('saves that are taken again', async () => {
    await h.save('again');
    return h.openBreakers().length === 0 ? true : null;
  });
});

describe('loads that the server refuses', () => {
  it('S-75 to three requests without a common block are turned off, queries miss, and one real load is tried', async () => {
    const h = await connected();
    for (const name of ['a', 'b', 'c', 'd']) {
      await h.save(name);
      await h.instance.hit(`waits for ${name}`, hashesOf(1, name));
      h.instance.scheduler.release(`waits for ${name}`);
    }
    await h.engine.fault({ methods: { load: { refuse: noRecord } } });
    for (const name of ['a', 'b', 'c']) expect(await h.load(name, name)).toBe('load failed');
    await h.status(({ openBreakers }) => openBreakers.length > 0);
    expect(await h.query('d', 'd')).toEqual({ kind: 'miss', reason: 'breakerOpen' });
    await h.save('still saved');
    expect([h.openBreakers(), h.isUntouched()]).toEqual([['loads'], true]);
    await h.engine.fault({ methods: { load: null } });
    await eventually('a load that is tried', async () => ((await h.load('d', 'd')) === 'loaded' ? true : null));
    await h.status(({ openBreakers }) => openBreakers.length === 0);
  });

  it('S-75 of a registration that was lost say nothing about the blocks in the next one', async () => {
    const h = await connected();
    await h.save('shared');
    await h.instance.hit('waits', hashesOf(1, 'shared'));
    h.instance.scheduler.release('waits');
    await h.engine.fault({ methods: { load: { refuse: noRecord, times: 2 } } });
    for (const requestId of ['a', 'b']) expect(await h.load(requestId, 'shared')).toBe('load failed');
    await h.status(({ openBreakers }) => openBreakers.length === 0);
    expect(await h.query('c', 'shared')).toEqual({ kind: 'miss', reason: 'withdrawn' });
    const { epoch } = h.instance.scheduler.status;
    await h.engine.http('POST', '/instances/cleanup');
    await eventually('the loss to be noticed', async () => {
      await h.query('asks', 'another');
      return h.instance.scheduler.status.epoch === epoch ? null : true;
    });
    await h.instance.reached('connected');
    expect(await h.load('d', 'shared')).toBe('loaded');
  });

  it('S-75 make the next query of the request miss, and the blocks no hits after the second time, which is told', async () => {
    const h = await connected();
    await h.save('torn');
    await h.instance.hit('waits', hashesOf(1, 'torn'));
    h.instance.scheduler.release('waits');
    await h.engine.fault({ methods: { load: { refuse: noRecord, times: 2 } } });
    expect([await h.load('r', 'torn'), await h.load('r', 'torn')]).toEqual(['load failed', 'withdrawn']);
    expect([await h.load('s', 'torn'), await h.load('t', 'torn'), await h.load('u', 'torn')]).toEqual([
      'load failed',
      'withdrawn',
      'withdrawn',
    ]);
    expect([h.lines(logTable.blocksWithdrawn.message), h.openBreakers(), h.isUntouched()]).toEqual([1, [], true]);
  });
});

it('S-76 queries that time out while probes are answered miss at once after a few, and a real one is tried', async () => {
  const engine = await startEngine({ hasRpcFaults: true });
  const budgets = { queryTimeoutMs: 200, surveyTimeoutMs: 2_000 };
  const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1, budgets }).start());
  await instance.reached('connected');
  await engine.fault({ methods: { queryPrefetch: { delayMs: 400 } } });
  const reasons = new Set<string>();
  await eventually('queries that miss at once', async () => {
    const outcome = await instance.scheduler.query({ requestId: 'r', blockHashes: hashesOf(1) });
    if (outcome.kind === 'miss') reasons.add(outcome.reason);
    return reasons.has('breakerOpen') ? true : null;
  });
  expect(instance.scheduler.status.openBreakers.map(({ breaker }) => breaker)).toEqual(['queries']);
  await engine.fault({ methods: { queryPrefetch: null } });
  await eventually('an answered query', async () => {
    const outcome = await instance.scheduler.query({ requestId: 'r', blockHashes: hashesOf(1) });
    return outcome.kind === 'miss' && outcome.reason === 'notCached' ? true : null;
  });
  expect(instance.scheduler.status.openBreakers).toEqual([]);
});

it('S-75 a refusal that is told late, of a load from before the registration, counts against nothing', () => {
  const told: string[] = [];
  const load = { requestId: 'r', epoch: { boot: 'b', counter: 1 }, leases: [] } as unknown as LoadIntent;
  const work = new RefusedWork({
    budgets: budgetsFrom(),
    breakers: { passed: () => {}, tell: (breaker: string) => told.push(breaker) } as unknown as Breakers,
    loadOf: () => load,
    onWithdrawn: () => told.push('withdrawn'),
  });
  const hashes = hashesOf(1, 'shared');
  const refused = (number: number) => {
    const refusals = [{ number, requestId: 'r', fault: { kind: 'defect', message: 'failed to copy' } }];
    const report = {
      rank: 0,
      workerBootId: 'w',
      work: { loads: { succeeded: 0, refusals }, saves: { succeeded: 0, refusals: [] } },
    };
    work.accept(report as unknown as RankReport);
  };
  for (const number of [1, 2]) {
    work.loadBegan(load, hashes);
    work.registrationBegan();
    refused(number);
  }
  expect([work.loadablePrefix(hashes), told]).toEqual([1, []]);
});
