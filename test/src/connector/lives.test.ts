import { describe, expect, it } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { type ConnectorMetadata, type SaveIntent, WorkerConnector } from '../../../src/connector/index.ts';
import { WorkerRequests } from '../../../src/connector/transfers/worker-requests.ts';
import { hashesOf, TestConnection, TestRank } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { endpointOf, startEngine } from '../../support/story.ts';
import { layersOf, TestInstance } from '../../support/test-instance.ts';
import { warmHashes, warmRank } from '../../support/warm-rank.ts';
import { eventually } from '../../support/within.ts';

const SLOW = { copyDelayMs: 500 };

async function loading() {
  const engine = await startEngine();
  const warm = await warmRank(engine);
  await engine.fault({ copyDelayMs: 400 });
  warm.instance.scheduler.scheduleLoad('loads', [4]);
  warm.instance.step();
  return { engine, ...warm };
}

describe('two lives under one name', () => {
  it('a load of a request whose load is under way is an error at the call, and its hit is given back', async () => {
    const { instance, engine } = await loading();
    const { scheduler } = instance;
    await instance.hit('loads', warmHashes);
    const releasesBefore = await engine.rpcCount('release');
    expect(() => scheduler.scheduleLoad('loads', [5, 6, 7])).toThrow('request loads has a load under way');
    expect(scheduler.heldPositions('loads')).toEqual([]);
    await eventually('the release', async () => ((await engine.rpcCount('release')) > releasesBefore ? true : null));
    expect((await instance.ended('loads', 'loaded')).failedLoads).toEqual([]);
    await instance.hit('loads', warmHashes);
    expect(scheduler.scheduleLoad('loads', [5, 6, 7])).toBe(true);
    expect((await instance.ended('loads', 'loaded')).failedLoads).toEqual([]);
  });

  it('an id whose blocks are held is not free: a load or a save of another request by it is an error', async () => {
    const { instance } = await loading();
    const { scheduler } = instance;
    expect(instance.finish('loads')).toBe(true);
    const save = { requestId: 'loads', blockIds: [0], blockHashes: hashesOf(1, 'other') };
    expect(() => scheduler.scheduleSave(save)).toThrow('its blocks are held');
    expect(() => scheduler.scheduleLoad('loads', [1])).toThrow('its blocks are held');
    await instance.ended('loads', 'loaded');
    scheduler.scheduleSave(save);
    expect(instance.finish('loads')).toBe(true);
    await instance.ended('loads', 'saved');
  });

  it("what ends of a former scheduler's request is not told as the end of a new one by the same id", () => {
    const ledger = new WorkerRequests(() => {});
    const load = (schedulerBootId: string) =>
      ledger.begin('load', { requestId: 'r', epoch: { schedulerBootId, counter: 1 }, transfer: 1, leases: [] });
    const former = load('former');
    const next = load('next');
    former?.end({ requestId: 'r', groupIds: [0], blockIds: [3], reason: 'of the former' });
    expect(ledger.take([])).toEqual({ loaded: [], saved: [] });
    expect(ledger.takeErrors()).toEqual([]);
    expect([ledger.isIdle, ledger.requestsUnderWay]).toEqual([false, ['r']]);
    next?.end();
    expect(ledger.take([])).toEqual({ loaded: ['r'], saved: [] });
    expect(ledger.isIdle).toBe(true);
  });

  it('a step is answered with what its own scheduler began, whichever the rank follows', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    const metadata = instance.scheduler.buildMetadata();
    const begunBy = (schedulerBootId: string): ConnectorMetadata => {
      const epoch = { ...metadata.announcement.epoch, schedulerBootId };
      const load = {
        requestId: 'r',
        epoch,
        transfer: 1,
        leases: [{ groupId: 0, lease: new Uint8Array(16), blockIds: [0] }],
      };
      const save = { requestId: 'r', epoch, transfer: 2, groupId: 0, blockIds: [0], blockHashes: hashesOf(1) };
      return { announcement: { ...metadata.announcement, epoch }, loads: [load], saves: [save] };
    };
    const [former, next, unheard] = [begunBy('former'), begunBy('next'), begunBy('unheard')];
    for (const { loads, saves } of [former, next]) {
      worker.startLoad(loads);
      worker.save(saves);
    }
    worker.acceptMetadata(former);
    expect(worker.takeLoadErrors(unheard)).toEqual([]);
    expect(worker.takeFinished(['r'], unheard)).toEqual({ loaded: [], saved: [] });
    for (const step of [next, former]) {
      expect(worker.takeLoadErrors(step)).toHaveLength(1);
      expect(worker.takeFinished(['r'], step)).toEqual({ loaded: ['r'], saved: ['r'] });
      expect(worker.takeFinished(['r'], step)).toEqual({ loaded: [], saved: [] });
    }
  });

  it('a rank that has other memory now tells the saves of before, although the step that told it of their end was lost', () => {
    const ledger = new WorkerRequests(() => {});
    const epoch = { schedulerBootId: 'boot', counter: 1 };
    const save = { requestId: 'r', groupId: 0, blockIds: [], blockHashes: [], epoch, transfer: 1 };
    ledger.begin('save', save)?.end();
    const saves = [{ requestId: 'r', transfers: [1], isFinished: true }];
    ledger.inherit('boot', { loads: [], saves });
    expect(ledger.take([])).toEqual({ loaded: [], saved: ['r'] });
    ledger.inherit('boot', { loads: [], saves });
    expect(ledger.take(['r'])).toEqual({ loaded: [], saved: [] });
  });

  it('a message that comes twice begins its transfers once', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [0], blockHashes: hashesOf(1, 'once') });
    instance.finish('saves');
    const metadata = instance.scheduler.buildMetadata();
    const saved = await engine.rpcCount('save');
    for (let times = 0; times < 3; times++) worker.save(metadata.saves);
    const end = await eventually('the end', () => {
      const { saved } = worker.takeFinished(['saves']);
      return saved.length > 0 ? saved : null;
    });
    expect(end).toEqual(['saves']);
    expect((await engine.rpcCount('save')) - saved).toBe(1);
    expect(worker.takeFinished(['saves']).saved).toEqual([]);
  });
});

describe('memory of the host that is used again as soon as a call has returned', () => {
  it('does not change what a save of the scheduler, or of a worker, is stored under', async () => {
    const engine = await startEngine();
    const { instance, worker, memory } = await warmRank(engine);
    const overwrite = (hashes: readonly Uint8Array[]) => {
      for (const hash of hashes) hash.fill(0xee);
    };
    const given = hashesOf(2, 'given').map((hash) => Uint8Array.from(hash));
    const blockIds = [4, 5];
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds, blockHashes: given });
    overwrite(given);
    blockIds.fill(0);
    const { saves } = instance.scheduler.buildMetadata();
    const received: SaveIntent[] = structuredClone(saves) as SaveIntent[];
    for (const [n, block] of [4, 5].entries()) memory.fill(block, 70 + n);
    worker.save(received);
    for (const { blockHashes } of received) overwrite(blockHashes);
    instance.finish('saves');
    await instance.ended('saves', 'saved');
    await instance.hit('asks', hashesOf(2, 'given'));
    instance.scheduler.scheduleLoad('asks', [6, 7]);
    await instance.ended('asks', 'loaded');
    expect([6, 7].map((block, n) => memory.holds(block, 70 + n))).toEqual([true, true]);
  });

  it('does not change what a query asks for', async () => {
    const engine = await startEngine();
    const { instance } = await warmRank(engine);
    const blockHashes = warmHashes.map((hash) => Uint8Array.from(hash));
    const outcome = instance.scheduler.query({ requestId: 'asks', blockHashes });
    for (const hash of blockHashes) hash.fill(0xee);
    expect(await outcome).toEqual({ kind: 'hit', blocks: warmHashes.length });
  });
});

describe('a worker that was replaced', () => {
  async function replaced(isFinishedBefore: boolean) {
    const engine = await startEngine();
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 2 })).start();
    await instance.reached('connected');
    for (const memory of instance.memory) memory.fill(0, 1);
    await instance.save('warm', [0], hashesOf(1));
    await instance.hit('loads', hashesOf(1));
    await engine.fault(SLOW);
    instance.scheduler.scheduleLoad('loads', [4]);
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [3], blockHashes: hashesOf(1, 'late') });
    instance.step();
    if (isFinishedBefore) {
      instance.finish('saves');
      instance.step();
    }
    const old = instance.workers[1]!;
    void old.stop();
    const { instanceId } = instance.scheduler;
    const place = { rank: 1, tpRank: 1, tpSize: 2, worldSize: 2, deviceId: 1 };
    const fresh = new WorkerConnector({
      endpoint: `http://${engine.grpcAddress}`,
      instanceId,
      namespace: instanceId,
      ...place,
    });
    (instance.workers as WorkerConnector[])[1] = fresh;
    fresh.onReport((report) => instance.scheduler.acceptReport(report));
    instance.scheduler.onAnnounce((announcement) => fresh.acceptAnnouncement(announcement));
    fresh.registerKvCaches(layersOf(instance.memory[1]!));
    return { instance };
  }

  it.each([
    ['before', true],
    ['after', false],
  ])('has its transfers told as failed, once, whether a request finished %s', async (_, isFinishedBefore) => {
    const { instance } = await replaced(isFinishedBefore);
    const told: string[] = [];
    if (!isFinishedBefore) expect(instance.finish('saves')).toBe(true);
    await eventually('both ends', () => {
      const { loaded, saved, failedLoads } = instance.step();
      told.push(...loaded.map((id) => `${id} loaded`), ...saved.map((id) => `${id} saved`));
      told.push(...failedLoads.map((id) => `${id} failed`));
      return told.length >= 3 ? true : null;
    });
    expect(told.toSorted()).toEqual(['loads failed', 'loads loaded', 'saves saved']);
    expect(instance.step()).toEqual({ loaded: [], saved: [], failedLoads: [] });
  });

  it('is told of what it had under way as long as somebody waits for it, and no longer', async () => {
    const { instance } = await replaced(false);
    await eventually('the word', () => (instance.scheduler.buildMetadata().announcement.inherited ? true : null));
    instance.finish('saves');
    const waiting = new Set(['loads', 'saves']);
    await eventually('both ends', () => {
      const { loaded, saved } = instance.step();
      for (const id of [...loaded, ...saved]) waiting.delete(id);
      return waiting.size === 0 ? true : null;
    });
    expect(instance.scheduler.buildMetadata().announcement.inherited).toBeUndefined();
  });
});

describe('KV caches that are registered again', () => {
  /** Other memory for the same rank. */
  function otherMemory(engine: ServerProcess, { options }: TestRank): TestRank {
    const { client } = own(new TestConnection(endpointOf(engine)));
    return own(new TestRank(client, createEmulatedDriver({ deviceCount: 1 }), { ...options }));
  }

  it('in other memory, take the place of those before: what is saved and loaded then is theirs', async () => {
    const engine = await startEngine();
    const { instance, worker, memory } = await warmRank(engine);
    const { workerBootId } = worker.takeReport();
    const fresh = otherMemory(engine, memory);
    worker.registerKvCaches(layersOf(fresh));
    expect(worker.takeReport()).toMatchObject({ serves: false });
    expect(worker.takeReport().workerBootId).not.toBe(workerBootId);
    await eventually('service', () => (worker.takeReport().serves ? true : null));
    await instance.reached('connected');
    memory.fill(5, 99);
    fresh.fill(4, 44);
    await instance.save('saves', [4], hashesOf(1, 'fresh'));
    await instance.hit('asks', hashesOf(1, 'fresh'));
    instance.scheduler.scheduleLoad('asks', [5]);
    expect((await instance.ended('asks', 'loaded')).failedLoads).toEqual([]);
    expect([fresh.holds(5, 44), memory.holds(5, 99)]).toEqual([true, true]);
  });

  it('in other memory, begin with no refusal: what was refused before is not counted for them as well', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance, worker, memory } = await warmRank(engine);
    const refuse = { code: 13, message: 'storage error: disk full' };
    await engine.fault({ methods: { save: { refuse, times: 1 } } });
    await instance.save('refused', [4], hashesOf(1, 'refused'));
    expect(worker.takeReport().work?.saves.refusals).toHaveLength(1);
    worker.registerKvCaches(layersOf(otherMemory(engine, memory)));
    expect(worker.takeReport().work).toBeUndefined();
    await eventually('service', () => (worker.takeReport().serves ? true : null));
    await instance.reached('connected');
    expect(instance.scheduler.status.openBreakers).toEqual([]);
  });

  it('in the same memory, change nothing', async () => {
    const engine = await startEngine();
    const { worker, memory } = await warmRank(engine);
    const { workerBootId } = worker.takeReport();
    worker.registerKvCaches(layersOf(memory));
    expect(worker.takeReport()).toMatchObject({ workerBootId, serves: true });
  });

  it('are refused while something of those before is under way', async () => {
    const { engine, worker, memory } = await loading();
    const fresh = otherMemory(engine, memory);
    expect(() => worker.registerKvCaches(layersOf(fresh))).toThrow('are under way');
    expect(worker.takeReport().serves).toBe(true);
  });
});
