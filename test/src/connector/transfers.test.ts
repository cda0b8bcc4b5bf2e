import { describe, expect, it } from 'vitest';
import { budgetsFrom } from '../../../machines/index.ts';
import { layersIn } from '../../../src/connector/kv-caches.ts';
import { Loads } from '../../../src/connector/transfers/loads.ts';
import { Connection } from '../../../src/rpc/connection.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { itNeeds } from '../../support/server-under-test.ts';
import { startEngine, startProxy, stepIntoLoad } from '../../support/story.ts';
import { layersOf, type TestInstance } from '../../support/test-instance.ts';
import { TransferRecord } from '../../support/transfer-record.ts';
import { warmHashes, warmRank } from '../../support/warm-rank.ts';
import { eventually, within } from '../../support/within.ts';

/** Settles when the server has accepted a load that it will not finish by itself. */
async function startSlowLoad(engine: ServerProcess, instance: TestInstance): Promise<void> {
  await engine.fault({ copyDelayMs: 60_000 });
  instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
  await stepIntoLoad(engine, instance);
}

describe('transfers in flight', () => {
  it('S-03: a load in flight when the server is killed fails as soon as the process is gone, far before any budget', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    await startSlowLoad(engine, instance);
    const killedMs = performance.now();
    engine.signal('SIGKILL');
    const { failedLoads } = await instance.ended('loads', 'loaded');
    expect(failedLoads).toEqual(['loads']);
    expect(performance.now() - killedMs).toBeLessThan(5_000);
    expect(worker.stats).toMatchObject({ loads: { failed: 1 }, unsafeReleases: 0 });
  });

  it('S-04: a save in flight when the server is killed lets go of its blocks; a preemption that waits on it goes on', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    await engine.fault({ copyDelayMs: 60_000 });
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [0], blockHashes: hashesOf(1, 'late') });
    instance.step();
    const preempted = worker.handlePreemptions(['saves']);
    expect(worker.takeReport().idle).toBe(false);
    engine.signal('SIGKILL');
    expect(await within(5_000, 'the preemption', preempted)).toEqual({ unsafe: [] });
    expect(worker.takeReport().idle).toBe(true);
    expect(worker.stats).toMatchObject({ saves: { failed: 1 }, unsafeReleases: 0 });
  });

  it('S-56: a link that breaks under a load frees nothing while the server lives: the record decides, in the same epoch', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const { instance, memory, worker } = await warmRank(engine, { rankEndpoint: proxy.endpoint });
    const { epoch } = instance.scheduler.status;
    await engine.fault({ copyDelayMs: 500 });
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    await stepIntoLoad(engine, instance);
    proxy.cut();
    await eventually('the rank to notice', () => (worker.status.state === 'connected' ? null : true));
    expect(worker.takeReport().idle).toBe(false);
    const { failedLoads } = await instance.ended('loads', 'loaded');
    expect(failedLoads).toEqual([]);
    expect([4, 5, 6].every((block, index) => memory.holds(block, index + 1))).toBe(true);
    await eventually('the rank to be back', () => (worker.status.state === 'connected' ? true : null));
    expect(instance.scheduler.status).toMatchObject({ state: 'connected', epoch });
    expect(worker.takeReport().outcome).toBe('registered');
  });

  it('S-09: a load in flight at a freeze stays held until the thaw, which settles it', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine, { budgets: { pingIntervalMs: 200, pingTimeoutMs: 600 } });
    await engine.fault({ copyDelayMs: 400 });
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    await stepIntoLoad(engine, instance);
    engine.signal('SIGSTOP');
    await instance.reached('reconnecting');
    await eventually('the rank to notice', () => (worker.status.state === 'reconnecting' ? true : null));
    for (let step = 0; step < 50; step += 1) {
      expect(instance.step().loaded).toEqual([]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(worker.takeReport().idle).toBe(false);
    engine.signal('SIGCONT');
    await instance.ended('loads', 'loaded');
    expect(worker.stats.unsafeReleases).toBe(0);
    await instance.reached('connected');
  });

  it('S-62: an accepted load that fails to copy is final after the settling time only, and refutes the registration', async () => {
    const engine = await startEngine();
    const { instance, memory } = await warmRank(engine, { instanceId: 'fails-to-copy' });
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    const [intent] = instance.scheduler.buildMetadata().loads;
    const budgets = budgetsFrom({ settleMs: 200 });
    const connection = own(new Connection({ endpoint: `http://${engine.grpcAddress}`, budgets }));
    const up = Promise.withResolvers<void>();
    connection.open({ up: up.resolve, draining: () => {}, down: () => {} });
    await up.promise;
    const record = new TransferRecord();
    const startedMs = performance.now();
    new Loads(budgets).start(
      connection.server,
      { instanceId: 'fails-to-copy', tpRank: 0, deviceId: 0, layers: layersIn(intent!.epoch, layersOf(memory)) },
      { ...intent!, leases: [{ ...intent!.leases[0]!, blockIds: [4, 5, 1_000_000] }] },
      record.events,
    );
    await eventually('the end of the load', () => record.outcomes[0] ?? null);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(200);
    expect(record.said).toEqual(['refuted: defect', 'failed by record']);
  });

  itNeeds('leases that end at once')(
    'S-19: a lease that the server no longer knows becomes a failed load, and nothing else changes',
    async () => {
      const engine = await startEngine({ leaseTtlMs: 1 });
      const { instance, worker } = await warmRank(engine);
      const { epoch } = instance.scheduler.status;
      instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
      const { failedLoads } = await instance.ended('loads', 'loaded');
      expect(failedLoads).toEqual(['loads']);
      await eventually('the rank to have checked', () => (worker.status.state === 'connected' ? true : null));
      await instance.reached('connected');
      expect(instance.scheduler.status.epoch).toBe(epoch);
    },
  );

  it('S-69: a full pool fails the save and is no evidence against the registration', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance, worker } = await warmRank(engine);
    const { epoch } = instance.scheduler.status;
    const refuse = { code: 13, message: 'storage error: pinned pool exhausted while allocating 4096 bytes' };
    await engine.fault({ methods: { save: { refuse } } });
    await instance.save('refused', [3], hashesOf(1, 'no room'));
    expect(worker.stats.saves).toEqual({ succeeded: 1, failed: 1, refused: 0 });
    expect(instance.scheduler.status).toMatchObject({ state: 'connected', epoch });
    expect(worker.status.state).toBe('connected');
  });

  it('a save that fails in the copy is evidence, and the registration is made anew', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance } = await warmRank(engine);
    const { epoch } = instance.scheduler.status;
    const refuse = { code: 13, message: 'storage error: cudaMemcpyAsync failed: an illegal memory access' };
    await engine.fault({ methods: { save: { refuse, times: 1 } } });
    await instance.save('refused', [3], hashesOf(1, 'copy'));
    await eventually('a new epoch', () => {
      const { status } = instance.scheduler;
      return status.state === 'connected' && status.epoch !== epoch ? true : null;
    });
  });

  itNeeds('copies that end with their registration')(
    'S-18: the bad end of a load of an epoch that is over says nothing about the next one',
    async () => {
      const engine = await startEngine();
      const { instance, worker } = await warmRank(engine, { budgets: { quiesceTimeoutMs: 1, settleMs: 500 } });
      await engine.fault({ copyDelayMs: 500 });
      instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
      await stepIntoLoad(engine, instance);
      await engine.http('POST', '/instances/cleanup');
      await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: warmHashes });
      const { failedLoads } = await instance.ended('loads', 'loaded');
      expect(failedLoads).toEqual(['loads']);
      expect(worker.stats.staleResults).toBe(1);
      await instance.reached('connected');
      expect(instance.scheduler.status.epoch?.counter).toBe(2);
    },
  );

  it('S-23: what is refused while nothing is in service is reported once, at once', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    instance.scheduler.scheduleSave({ requestId: 'loads', blockIds: [4], blockHashes: hashesOf(1, 'x') });
    const { loads, saves } = instance.scheduler.buildMetadata();
    engine.signal('SIGKILL');
    await instance.reached('reconnecting');
    await eventually('the rank to notice', () => (worker.status.state === 'connected' ? null : true));
    worker.startLoad(loads);
    worker.save(saves);
    expect(worker.takeLoadErrors()).toEqual([
      { requestId: 'loads', groupIds: [0], blockIds: [4, 5, 6], reason: 'not connected' },
    ]);
    expect(worker.takeFinished(['loads'])).toEqual({ loaded: ['loads'], saved: ['loads'] });
    expect(worker.takeFinished(['loads'])).toEqual({ loaded: [], saved: [] });
    expect(worker.stats).toMatchObject({ loads: { refused: 1 }, saves: { refused: 1 } });
  });

  it('a save before the last rank has registered fails and is no evidence: every rank hears "incomplete" until then', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance, worker } = await warmRank(engine);
    const { epoch } = instance.scheduler.status;
    const refuse = { code: 3, message: 'instance x registration incomplete: 1/2 workers registered' };
    await engine.fault({ methods: { save: { refuse } } });
    await instance.save('early', [3], hashesOf(1, 'early'));
    expect(worker.stats.saves.failed).toBe(1);
    expect(worker.status.state).toBe('connected');
    expect(instance.scheduler.status).toMatchObject({ state: 'connected', epoch });
  });

  it('a save of an epoch that is over is refused, or some ranks alone would save it', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    instance.scheduler.scheduleSave({ requestId: 'late', blockIds: [3], blockHashes: hashesOf(1, 'late') });
    const { saves } = instance.scheduler.buildMetadata();
    const { epoch } = instance.scheduler.status;
    await engine.http('POST', '/instances/cleanup');
    await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: warmHashes });
    await eventually('a new epoch on the rank', () =>
      worker.status.state === 'connected' && worker.status.epoch !== epoch ? true : null,
    );
    await instance.reached('connected');
    expect(worker.save(saves)).toEqual([{ requestId: 'late', reason: 'the save is of another epoch' }]);
    expect(worker.stats.saves.refused).toBe(1);
    expect(worker.takeFinished(['late'])).toEqual({ loaded: [], saved: ['late'] });
  });

  it('a query in flight when the server dies ends with its link, not with its deadline', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance } = await warmRank(engine, { budgets: { queryTimeoutMs: 60_000 } });
    await engine.fault({ methods: { queryPrefetch: { hang: true } } });
    const asked = instance.scheduler.query({ requestId: 'asks', blockHashes: warmHashes });
    await engine.http('GET', '/health');
    engine.signal('SIGKILL');
    expect(await within(5_000, 'the query', asked)).toEqual({ kind: 'miss', reason: 'failed' });
  });

  it('refuses block ids that are not there before anything is sent, and loses nothing by it', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    const { epoch } = instance.scheduler.status;
    for (const impossible of [8, -1, 1.5, 2 ** 40, Number.NaN]) {
      await instance.hit('bad', warmHashes);
      instance.scheduler.scheduleLoad('bad', [4, 5, impossible]);
      const { failedLoads } = await instance.ended('bad', 'loaded');
      expect(failedLoads).toEqual(['bad']);
      await instance.save(`bad ${impossible}`, [4, 5, impossible], hashesOf(3, 'bad'));
    }
    expect(worker.stats).toMatchObject({ loads: { refused: 5 }, saves: { refused: 5 } });
    instance.scheduler.scheduleSave({ requestId: 'told', blockIds: [8], blockHashes: hashesOf(1) });
    expect(worker.save(instance.scheduler.buildMetadata().saves)).toEqual([
      { requestId: 'told', reason: 'block id 8 is not one of 8 blocks' },
    ]);
    const lost = JSON.parse(JSON.stringify([4, Number.NaN, undefined]));
    for (const blockIds of [lost, [undefined, 99]]) {
      instance.scheduler.scheduleSave({ requestId: 'lost', blockIds, blockHashes: hashesOf(blockIds.length) });
      const [refused] = worker.save(instance.scheduler.buildMetadata().saves);
      expect(refused?.reason).toMatch(/^block id (null|undefined) is not one of 8 blocks$/);
    }
    expect(instance.scheduler.status).toMatchObject({ state: 'connected', epoch });
    const { text } = await engine.http('POST', '/cache/memory/cleanup');
    expect(JSON.parse(text).still_referenced_blocks).toBe(3);
    instance.scheduler.release('loads');
  });

  it('S-63: a lease that could not be used or given back in time is given back afterwards', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const budgets = { queryTimeoutMs: 1_000, surveyTimeoutMs: 10_000 };
    const { instance } = await warmRank(engine, { budgets });
    await instance.hit('finished', warmHashes);
    const { epoch } = instance.scheduler.status;
    await engine.fault({ methods: { queryPrefetch: { delayMs: 2_000, times: 2 } } });
    await instance.scheduler.query({ requestId: 'slow', blockHashes: hashesOf(1, 'x') });
    await instance.reached('degraded');
    expect(instance.scheduler.scheduleLoad('loads', [4, 5, 6])).toBe(false);
    instance.finish('finished');
    await instance.reached('connected');
    expect(instance.scheduler.status.epoch).toBe(epoch);
    await engine.unpinned();
  });

  it('S-24: a hit that arrives when its request has been aborted is given back', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance } = await warmRank(engine);
    instance.scheduler.release('loads');
    await engine.fault({ methods: { queryPrefetch: { delayMs: 200, times: 1 } } });
    const asked = instance.scheduler.query({ requestId: 'aborted', blockHashes: warmHashes });
    instance.finish('aborted');
    expect(await asked).toEqual({ kind: 'miss', reason: 'superseded' });
    await engine.unpinned();
    expect(instance.scheduler.scheduleLoad('aborted', [4, 5, 6])).toBe(false);
  });

  it('an odd answer costs no other transfer on the link its own: the rank asks, and goes on', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance, worker } = await warmRank(engine);
    const states: string[] = [];
    worker.onStatus(({ state }) => states.push(state));
    await engine.fault({ copyDelayMs: 600 });
    instance.scheduler.scheduleSave({ requestId: 'slow', blockIds: [4], blockHashes: hashesOf(1, 'slow') });
    instance.finish('slow');
    instance.step();
    await engine.fault({ methods: { save: { refuse: { code: 9, message: 'the shelf has wandered off' }, times: 1 } } });
    await instance.save('refused', [3], hashesOf(1, 'refused'));
    await eventually('the end of the slow save', () => (worker.takeReport().idle ? true : null));
    expect(worker.stats).toMatchObject({ saves: { succeeded: 2, failed: 1 }, unsafeReleases: 0 });
    expect(states).toEqual(['degraded', 'connected']);
  });

  it('loads the beginning of a hit where fewer blocks are given than it has', async () => {
    const { instance, memory } = await warmRank(await startEngine());
    for (const block of [4, 5, 6]) memory.fill(block, 9);
    expect(instance.scheduler.scheduleLoad('loads', [4, null])).toBe(true);
    expect(await instance.ended('loads', 'loaded')).toMatchObject({ failedLoads: [] });
    expect(memory.holds(4, 1)).toBe(true);
    expect([5, 6].every((block) => memory.holds(block, 9))).toBe(true);
  });

  it('refuses lists that do not fit together before anything is sent', async () => {
    const { instance } = await warmRank(await startEngine());
    expect(() => instance.scheduler.scheduleLoad('loads', [4, 5, 6, 7])).toThrow('4 block ids for a hit of 3 blocks');
    expect(instance.scheduler.scheduleLoad('loads', [4, 5, 6])).toBe(false);
    const save = { requestId: 'saves', blockIds: [0, 1], blockHashes: hashesOf(1) };
    expect(() => instance.scheduler.scheduleSave(save)).toThrow('2 block ids and 1 hashes');
  });
});
