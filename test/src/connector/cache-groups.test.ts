import { describe, expect, it } from 'vitest';
import { hashesOf, TestConnection } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import { loadsTaken, startEngine, startProxy, successorOf } from '../../support/story.ts';
import { TestInstance, type TestInstanceOptions } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

const hashes = hashesOf(3);

/** `layer.0` is the full-attention group, `layer.1` the sliding window. */
function hybrid(endpoint: string, options: TestInstanceOptions = {}): TestInstance {
  return own(new TestInstance(endpoint, { layerGroupIds: [0, 1], ...options }).start());
}

/** Saves three blocks of group 0 from block 0 on, and of group 1 the first and the last of them. */
async function saveBoth(instance: TestInstance): Promise<void> {
  for (const rank of instance.memory) for (const block of [0, 1, 2]) rank.fill(block, block + 1);
  await instance.save('full', [0, 1, 2], hashes);
  await instance.save('window', [0, 2], [hashes[0]!, hashes[2]!], 1);
}

async function hitBoth(instance: TestInstance, requestId: string): Promise<void> {
  await instance.hit(requestId, hashes);
  await instance.hit(requestId, [hashes[0]!, hashes[2]!], 1);
}

const holdsEverywhere = (instance: TestInstance, blockId: number, seed: number, layerName: string) =>
  instance.memory.every((rank) => rank.holds(blockId, seed, [layerName]));

describe('storage groups above 0', () => {
  it('a hybrid model is saved, found and loaded by group, and again after a restart, byte for byte', async () => {
    let engine = await startEngine();
    const instance = hybrid(`http://${engine.grpcAddress}`);
    for (const epochs of [1, 2]) {
      await instance.reached('connected');
      expect(instance.scheduler.status.epoch?.counter).toBe(epochs);
      const ask = (groupId: number, isAllOrNothing = false) =>
        instance.scheduler.query({ requestId: 'reads', groupId, blockHashes: hashes, isAllOrNothing });
      for (const groupId of [0, 1]) expect(await ask(groupId)).toEqual({ kind: 'miss', reason: 'notCached' });
      await saveBoth(instance);
      await instance.hit('reads', hashes);
      await instance.hit('sees the window', [hashes[0]!, hashes[2]!], 1);
      instance.scheduler.release('sees the window');
      expect(await ask(1, true)).toEqual({ kind: 'miss', reason: 'notCached' });
      expect(await ask(1)).toEqual({ kind: 'hit', blocks: 2, positions: [0, 2] });
      for (const rank of instance.memory) for (const block of [0, 4, 5, 6]) rank.fill(block, 90);
      expect(instance.scheduler.scheduleLoad('reads', { 0: [4, 5, null], 1: [null, 0] })).toBe(true);
      expect(await instance.ended('reads', 'loaded')).toMatchObject({ failedLoads: [] });
      expect(holdsEverywhere(instance, 4, 1, 'layer.0')).toBe(true);
      expect(holdsEverywhere(instance, 5, 2, 'layer.0')).toBe(true);
      expect(holdsEverywhere(instance, 0, 3, 'layer.1')).toBe(true);
      for (const [block, layer] of [
        [0, 0],
        [6, 0],
        [4, 1],
        [5, 1],
        [6, 1],
      ]) {
        expect(holdsEverywhere(instance, block!, 90, `layer.${layer}`), `block ${block} of layer.${layer}`).toBe(true);
      }
      await engine.unpinned();
      if (epochs === 2) break;
      engine.signal('SIGKILL');
      await instance.reached('reconnecting');
      engine = await successorOf(engine);
    }
  });

  it('S-25 a load that fails in a group above 0 fails its request as a whole, once, and the next one works', async () => {
    const engine = await startEngine();
    const instance = hybrid(`http://${engine.grpcAddress}`, { worldSize: 1 });
    await instance.reached('connected');
    await saveBoth(instance);
    await hitBoth(instance, 'loads');
    const { epoch } = instance.scheduler.status;
    instance.scheduler.scheduleLoad('loads', { 0: [4, 5, 6], 1: [null, 7] });
    const metadata = instance.scheduler.buildMetadata();
    const [first, second] = metadata.loads[0]?.leases ?? [];
    expect([first?.groupId, second?.groupId]).toEqual([0, 1]);
    const thief = new TestConnection(`http://${engine.grpcAddress}`);
    await thief.client.release({ lease: second!.lease });
    thief[Symbol.dispose]();
    const [worker] = instance.workers;
    worker!.startLoad(metadata.loads);
    await eventually('the end of the load', () => (worker!.takeReport().idle ? true : null));
    expect(worker!.takeLoadErrors()).toEqual([
      {
        requestId: 'loads',
        groupIds: [0, 1],
        blockIds: [4, 5, 6, 7],
        reason: expect.stringMatching(/unknown or expired/),
      },
    ]);
    const ended = worker!.takeFinished([]);
    expect(ended.loaded).toEqual(['loads']);
    const failedLoads = ['loads'];
    expect(instance.scheduler.acceptFinished({ ...ended, failedLoads }).loaded).toEqual(['loads']);
    expect(instance.scheduler.acceptFinished({ ...ended, failedLoads }).loaded).toEqual([]);
    await engine.unpinned();
    await eventually('the rank to have checked', () => (worker!.status.state === 'connected' ? true : null));
    await instance.reached('connected');
    expect(instance.scheduler.status.epoch).toBe(epoch);
    await saveBoth(instance);
    await hitBoth(instance, 'again');
    instance.scheduler.scheduleLoad('again', { 0: [4, 5, 6], 1: [null, 7] });
    expect(await instance.ended('again', 'loaded')).toMatchObject({ failedLoads: [] });
    expect(holdsEverywhere(instance, 7, 3, 'layer.1')).toBe(true);
  });

  it('S-19 a load with a stale lease in any group is refused without an RPC', async () => {
    const engine = await startEngine();
    const instance = hybrid(`http://${engine.grpcAddress}`, { worldSize: 1 });
    await instance.reached('connected');
    await saveBoth(instance);
    await hitBoth(instance, 'late');
    await hitBoth(instance, 'issued');
    expect(instance.scheduler.scheduleLoad('issued', { 0: [4, 5, 6], 1: [null, 7] })).toBe(true);
    const { epoch } = instance.scheduler.status;
    await engine.http('POST', '/instances/cleanup');
    await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: hashes });
    await eventually('a new epoch', () => {
      const { state, epoch: now } = instance.scheduler.status;
      return state === 'connected' && now !== epoch ? true : null;
    });
    await loadsTaken(engine, 2);
    const before = await engine.rpcCount('load');
    expect(instance.scheduler.scheduleLoad('late', { 0: [4, 5, 6], 1: [null, 7] })).toBe(false);
    expect(await instance.ended('issued', 'loaded')).toMatchObject({ failedLoads: ['issued'] });
    expect(instance.workers[0]?.stats).toMatchObject({ fencedLoads: 1, loads: { refused: 1 } });
    expect(await engine.rpcCount('load')).toBe(before);
    await engine.unpinned();
  });

  it('S-12 S-63 leases of all groups that a keep fenced, scheduled or not, are given back', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const rankEndpoint = `http://${engine.grpcAddress}`;
    const instance = hybrid(proxy.endpoint, { worldSize: 1, rankEndpoint });
    await instance.reached('connected');
    await saveBoth(instance);
    await hitBoth(instance, 'issued');
    await hitBoth(instance, 'idle');
    expect(instance.scheduler.scheduleLoad('issued', { 0: [4, 5, 6], 1: [null, 7] })).toBe(true);
    const { epoch } = instance.scheduler.status;
    const actions: string[] = [];
    instance.scheduler.onAnnounce(({ action, isSealed }) => actions.push(isSealed ? `${action}, sealed` : action));
    proxy.cutClients();
    await eventually('the next epoch', () => {
      const { state, epoch: now } = instance.scheduler.status;
      return state === 'connected' && now !== epoch ? true : null;
    });
    expect(actions).toEqual(['register, sealed', 'wait', 'keep', 'keep, sealed']);
    expect(await instance.ended('issued', 'loaded')).toMatchObject({ failedLoads: ['issued'] });
    expect(instance.workers[0]?.stats).toMatchObject({ fencedLoads: 1 });
    await engine.unpinned();
  });

  it('a group above 0 asked for all or nothing may be loading, and then is a hit', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const instance = hybrid(`http://${engine.grpcAddress}`, { worldSize: 1 });
    await instance.reached('connected');
    await saveBoth(instance);
    await hitBoth(instance, 'sees');
    await engine.fault({ answerLoading: 2 });
    const blockHashes = [hashes[0]!, hashes[2]!];
    const ask = () => instance.scheduler.query({ requestId: 'asks', groupId: 1, blockHashes, isAllOrNothing: true });
    expect([await ask(), await ask(), await ask()]).toEqual([
      { kind: 'loading' },
      { kind: 'loading' },
      { kind: 'hit', blocks: 2, positions: [0, 1] },
    ]);
  });

  it('a rank without layers of a group saves and loads its own, and leaves no share of a lease behind', async () => {
    const engine = await startEngine();
    const stages = [
      { layerNames: ['layer.0'], layerGroupIds: [0] },
      { layerNames: ['layer.1'], layerGroupIds: [1] },
    ];
    const instance = hybrid(`http://${engine.grpcAddress}`, { stages });
    await instance.reached('connected');
    await saveBoth(instance);
    await hitBoth(instance, 'loads');
    expect(instance.scheduler.scheduleLoad('loads', { 0: [4, 5], 1: [6] })).toBe(true);
    expect(await instance.ended('loads', 'loaded')).toMatchObject({ failedLoads: [] });
    const [first, second] = instance.memory;
    expect([first!.holds(4, 1), first!.holds(5, 2), second!.holds(6, 1)]).toEqual([true, true, true]);
    await engine.unpinned();
  });

  it('lists that do not fit a hit of a group are refused before anything is sent, and every lease is given back', async () => {
    const engine = await startEngine();
    const instance = hybrid(`http://${engine.grpcAddress}`, { worldSize: 1 });
    await instance.reached('connected');
    await saveBoth(instance);
    await hitBoth(instance, 'loads');
    const tooMany = { 0: [4, 5, 6], 1: [null, 7, 3] };
    expect(() => instance.scheduler.scheduleLoad('loads', tooMany)).toThrow(
      '3 block ids for a hit of 2 blocks in group 1',
    );
    expect(instance.scheduler.scheduleLoad('loads', { 0: [4], 1: [7] })).toBe(false);
    await engine.unpinned();
    await saveBoth(instance);
    await hitBoth(instance, 'bad');
    expect(instance.scheduler.scheduleLoad('bad', { 0: [4, 5, 6], 1: [null, 8] })).toBe(true);
    expect(await instance.ended('bad', 'loaded')).toMatchObject({ failedLoads: ['bad'] });
    expect(instance.workers[0]?.stats.loads.refused).toBe(1);
    await engine.unpinned();
    expect(() => instance.workers[0]?.registerKvCaches([{ ...layer, groupId: -1 }])).toThrow('groupId');
  });
});

const layer = {
  name: 'x',
  wrapperBytes: new Uint8Array(),
  numBlocks: 1,
  bytesPerBlock: 1,
  kvStrideBytes: 0,
  segments: 1,
};
