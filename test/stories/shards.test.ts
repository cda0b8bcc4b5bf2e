import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ConnectorStatus, shardOfRank } from '../../src/connector/index.ts';
import { hashesOf, hashOf, uniqueId } from '../support/engine-rank.ts';
import { own } from '../support/own.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { startServer } from '../support/server-under-test.ts';
import { ShardedInstance, type ShardedInstanceOptions } from '../support/sharded-instance.ts';
import { startEngine } from '../support/story.ts';
import { eventually, within } from '../support/within.ts';

/** How often each has answered this method. */
const rpcCounts = (engines: readonly ServerProcess[], method: string) =>
  Promise.all(engines.map((engine) => engine.rpcCount(method)));

/** Queries that each has answered; a survey's probe is always refused. */
const queryCounts = (engines: readonly ServerProcess[]) =>
  Promise.all(engines.map((engine) => engine.rpcCount('query_prefetch', 'ok')));

/** Evicts every block; what a lease or a load holds keeps its memory. */
const evictAll = (engine: ServerProcess) => engine.http('POST', '/cache/memory/cleanup');

/** Settles when no lease holds a block at this engine; nothing is cached there afterwards. */
async function nothingHeld(engine: ServerProcess): Promise<void> {
  await evictAll(engine);
  await eventually('the leases to be gone', async () => {
    const { text } = await engine.http('GET', '/metrics');
    return /^pegaflow_pool_used_bytes(\{.*\})? 0\b/m.test(text) ? true : null;
  });
}

async function connected(engines: readonly ServerProcess[], options?: ShardedInstanceOptions) {
  const instance = own(new ShardedInstance(engines, options).start());
  await instance.connected();
  return instance;
}

const hashes = hashesOf(3);

/** A server that this machine lets stand still for seconds is no loss: what is counted then has one cause only. */
const PATIENT = { pingTimeoutMs: 20_000, queryTimeoutMs: 20_000, surveyTimeoutMs: 20_000, stalledAfterMs: 20_000 };

async function saveThree(instance: ShardedInstance): Promise<void> {
  for (const block of [0, 1, 2]) instance.fill(block, block + 1);
  await instance.save(uniqueId(), [0, 1, 2], hashes);
  await instance.hit('seen', hashes);
  instance.scheduler.release('seen');
}

describe('an instance over two servers', () => {
  let engines: ServerProcess[] = [];

  beforeAll(async () => {
    engines = await Promise.all([startServer(), startServer({ hasRpcFaults: true })]);
  });

  afterEach(async () => {
    for (const engine of engines) {
      await engine.http('DELETE', '/faults');
      await evictAll(engine);
    }
  });

  afterAll(async () => {
    for (const engine of engines) await engine[Symbol.asyncDispose]();
  });

  const [first, second] = [() => engines[0]!, () => engines[1]!];

  /** A query that the first shard has answered with a hit, and the second answers when its faults are lifted. */
  async function halfAnswered(instance: ShardedInstance, requestId: string) {
    await second().fault({ methods: { queryPrefetch: { hang: true, times: 1 } } });
    const outcome = instance.scheduler.query({ requestId, blockHashes: hashes });
    await instance.scheduler.query({ requestId: 'behind', blockHashes: hashesOf(1, 'unknown') });
    return { outcome };
  }

  it('loads the prefix that every shard has, and asks each once: what one holds beyond has no destination', async () => {
    const instance = await connected(engines);
    await saveThree(instance);
    await evictAll(second());
    await instance.save('again', [0, 1], hashes.slice(0, 2));
    await instance.hit('short', hashes, 2);
    const queries = await queryCounts(engines);
    for (const block of [4, 5, 6]) instance.fill(block, 9);
    expect(instance.scheduler.scheduleLoad('short', [4, 5])).toBe(true);
    expect((await instance.ended('short', 'loaded')).failedLoads).toEqual([]);
    expect([instance.wrong(4, 1), instance.wrong(5, 2), instance.wrong(6, 9)]).toEqual([[], [], []]);
    expect(await queryCounts(engines)).toEqual(queries);
    for (const engine of engines) await nothingHeld(engine);
  });

  it('joins a group above 0 by the positions that every shard holds, and loads all groups of a request together', async () => {
    const instance = await connected(engines, { layerGroupIds: [0, 1] });
    for (const block of [0, 1, 2]) instance.fill(block, block + 1);
    const ask = () => instance.scheduler.query({ requestId: 'reads', groupId: 1, blockHashes: hashes });
    await instance.save('first window', [0], hashes.slice(0, 1), 1);
    await instance.hit('seen', hashes, 1, 1);
    instance.scheduler.release('seen');
    await evictAll(second());
    await instance.save('second window', [1], hashes.slice(1, 2), 1);
    await instance.save('full', [0, 1, 2], hashes);
    await instance.hit('reads', hashes);
    await instance.hit('reads', hashes, 1, 1);
    expect(await ask()).toEqual({ kind: 'hit', blocks: 1, positions: [1] });
    expect([instance.scheduler.heldPositions('reads'), instance.scheduler.heldPositions('reads', 1)]).toEqual([
      [0, 1, 2],
      [1],
    ]);
    for (const block of [4, 5, 6]) instance.fill(block, 9);
    expect(instance.scheduler.scheduleLoad('reads', { 0: [4, null, 5], 1: [6] })).toBe(true);
    expect((await instance.ended('reads', 'loaded')).failedLoads).toEqual([]);
    expect([
      instance.wrong(4, 1, ['layer.0']),
      instance.wrong(5, 3, ['layer.0']),
      instance.wrong(6, 2, ['layer.1']),
    ]).toEqual([[], [], []]);
    expect([instance.wrong(6, 9, ['layer.0']), instance.wrong(4, 9, ['layer.1'])]).toEqual([[], []]);
    for (const engine of engines) await nothingHeld(engine);
  });

  it('gives back one group where a shard has none of it, and leaves the other held', async () => {
    const instance = await connected(engines, { layerGroupIds: [0, 1] });
    await instance.save('window', [0], hashes.slice(0, 1), 1);
    await instance.hit('seen', hashes, 1, 1);
    instance.scheduler.release('seen');
    await evictAll(second());
    await instance.save('full', [0, 1, 2], hashes);
    await instance.hit('reads', hashes);
    const outcome = await instance.scheduler.query({ requestId: 'reads', groupId: 1, blockHashes: hashes });
    expect(outcome).toEqual({ kind: 'miss', reason: 'notCached' });
    expect(instance.scheduler.heldPositions('reads')).toEqual([0, 1, 2]);
    expect(instance.scheduler.scheduleLoad('reads', { 0: [4, 5, 6], 1: [7] })).toBe(false);
    expect(instance.scheduler.heldPositions('reads')).toEqual([]);
    for (const engine of engines) await nothingHeld(engine);
  });

  it('takes a list longer than the common prefix for a mistake, and holds nothing for it', async () => {
    const instance = await connected(engines);
    await saveThree(instance);
    await instance.hit('wrong', hashes);
    const load = () => instance.scheduler.scheduleLoad('wrong', [4, 5, 6, 7]);
    expect(load).toThrow('request wrong: 4 block ids for a hit of 3 blocks');
    for (const engine of engines) await nothingHeld(engine);
  });

  it('gives back what one shard found when another has nothing', async () => {
    const instance = await connected(engines);
    await saveThree(instance);
    await evictAll(second());
    const released = await first().rpcCount('release', 'ok');
    const outcome = await instance.scheduler.query({ requestId: 'half', blockHashes: hashes });
    expect(outcome).toEqual({ kind: 'miss', reason: 'notCached' });
    await eventually('the release', async () => ((await first().rpcCount('release', 'ok')) > released ? true : null));
    await nothingHeld(first());
    expect(instance.scheduler.scheduleLoad('half', [4, 5, 6])).toBe(false);
  });

  it('is loading while one shard is, holds nothing meanwhile, and then is a hit', async () => {
    const instance = await connected(engines);
    await saveThree(instance);
    const released = await first().rpcCount('release', 'ok');
    await second().fault({ answerLoading: 1 });
    const query = { requestId: 'loads', blockHashes: hashes };
    expect(await instance.scheduler.query(query)).toEqual({ kind: 'loading' });
    await eventually('the release', async () => ((await first().rpcCount('release', 'ok')) > released ? true : null));
    expect(await instance.scheduler.query(query)).toEqual({ kind: 'hit', blocks: 3 });
    expect(instance.scheduler.stats.queries).toMatchObject({ loading: 1, hit: 2 });
  });

  it('waits for a shard that does not answer no longer than the budget of a query, and gives back the rest', async () => {
    const instance = await connected(engines, { budgets: { queryTimeoutMs: 200 } });
    await saveThree(instance);
    await second().fault({ methods: { queryPrefetch: { hang: true } } });
    const query = instance.scheduler.query({ requestId: 'hangs', blockHashes: hashes });
    expect(await within(5_000, 'the query', query)).toEqual({ kind: 'miss', reason: 'failed' });
    await nothingHeld(first());
  });

  it('leaves what is held to the newest query of a request', async () => {
    const instance = await connected(engines, { budgets: { queryTimeoutMs: 20_000 } });
    await saveThree(instance);
    const early = await halfAnswered(instance, 'twice');
    expect(await instance.scheduler.query({ requestId: 'twice', blockHashes: hashes })).toEqual({
      kind: 'hit',
      blocks: 3,
    });
    await second().http('DELETE', '/faults');
    expect(await early.outcome).toEqual({ kind: 'miss', reason: 'superseded' });
    expect(instance.scheduler.scheduleLoad('twice', [4, 5, 6])).toBe(true);
    expect((await instance.ended('twice', 'loaded')).failedLoads).toEqual([]);
    expect([4, 5, 6].map((block, index) => instance.wrong(block, index + 1))).toEqual([[], [], []]);
  });

  it('gives back a hit that arrives when its request is over', async () => {
    const instance = await connected(engines, { budgets: { queryTimeoutMs: 20_000 } });
    await saveThree(instance);
    const query = await halfAnswered(instance, 'over');
    expect(instance.finish('over')).toBe(false);
    await second().http('DELETE', '/faults');
    expect(await query.outcome).toEqual({ kind: 'miss', reason: 'superseded' });
    for (const engine of engines) await nothingHeld(engine);
  });

  it('tells a load that failed on one rank of one shard once, as failed, and leaves no lease', async () => {
    const instance = await connected(engines);
    await saveThree(instance);
    await instance.hit('fails', hashes);
    const refuse = { code: 3, message: 'namespace is shared by incompatible KV layouts' };
    await second().fault({ methods: { load: { refuse, times: 1 } } });
    expect(instance.scheduler.scheduleLoad('fails', [4, 5, 6])).toBe(true);
    const { loaded, failedLoads } = await instance.ended('fails', 'loaded');
    expect([loaded, failedLoads]).toEqual([['fails'], ['fails']]);
    expect(instance.step()).toEqual({ loaded: [], saved: [], failedLoads: [] });
    for (const engine of engines) await nothingHeld(engine);
  });

  it('holds the blocks of a finished request until all shards have saved them, and tells that once', async () => {
    const instance = await connected(engines);
    await saveThree(instance);
    await instance.hit('saves', hashes);
    await second().fault({ methods: { save: { hang: true } } });
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [0], blockHashes: hashesOf(1, 'more') });
    instance.step();
    expect(instance.finish('saves')).toBe(true);
    await eventually('the first shard to have saved', () => {
      expect(instance.step().saved).toEqual([]);
      return instance.workers.slice(0, 2).every(({ stats }) => stats.saves.succeeded === 2) ? true : null;
    });
    expect(instance.step().saved).toEqual([]);
    await second().http('DELETE', '/faults');
    expect((await instance.ended('saves', 'saved')).saved).toEqual(['saves']);
    expect(instance.workers.map(({ stats }) => stats.saves.succeeded)).toEqual([2, 2, 2, 2]);
    expect(instance.step().saved).toEqual([]);
    for (const engine of engines) await nothingHeld(engine);
  });

  it('refuses the report of a rank that was given the place of another', async () => {
    const instance = await connected(engines);
    const report = instance.workers[0]!.takeReport();
    expect(() => instance.scheduler.acceptReport(3, report)).toThrow('rank 3 is rank 1 of shard 1 but reports as 0');
    expect(() => instance.scheduler.acceptReport(4, report)).toThrow('rank 4 is not one of 4 ranks');
    expect(() => instance.scheduler.onAnnounce(2, () => {})).toThrow('shard 2 is not one of 2 shards');
  });

  it('stops at every server, and stops there nothing but itself', async () => {
    const [instance, other] = [await connected(engines), await connected(engines)];
    expect(await within(5_000, 'the stop', instance.scheduler.stop())).toEqual({ kind: 'clean' });
    expect(instance.scheduler.status).toMatchObject({ state: 'stopped', shards: [{}, {}] });
    for (const engine of engines) {
      const { text } = await engine.http('GET', '/instances');
      expect(JSON.parse(text).instances).toEqual([other.instanceId]);
    }
    const query = { requestId: 'late', blockHashes: hashes };
    expect(await instance.scheduler.query(query)).toEqual({ kind: 'miss', reason: 'notConnected' });
  });
});

describe('one server of several is lost', () => {
  it('S-44: nothing is loaded, saved or asked anywhere without it, and what the others held is given back', async () => {
    const engines = await Promise.all([startServer(), startServer()]);
    const [first, second] = [own(engines[0]!), own(engines[1]!)];
    const instance = await connected(engines);
    await saveThree(instance);
    await instance.hit('held', hashes);
    await instance.hit('asks again', hashes);
    second.signal('SIGKILL');
    await eventually('the loss to be noticed', () => (instance.scheduler.isInService ? null : true));
    const before = await queryCounts([first]);

    expect(instance.scheduler.scheduleLoad('held', [4, 5, 6])).toBe(false);
    const query = { requestId: 'asks again', blockHashes: hashes };
    expect(await instance.scheduler.query(query)).toEqual({ kind: 'miss', reason: 'notConnected' });
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [0], blockHashes: hashesOf(1, 'late') });
    expect(instance.scheduler.buildMetadata().flatMap(({ loads, saves }) => [...loads, ...saves])).toEqual([]);
    expect(instance.finish('saves')).toBe(false);
    await nothingHeld(first);
    expect(await queryCounts([first])).toEqual(before);
    expect(instance.scheduler.status.shards.map(({ state }) => state === 'connected')).toEqual([true, false]);
    expect(instance.scheduler.status.state).not.toBe('connected');
  });

  it('S-44: a stop that one server cannot confirm says so, and names it', async () => {
    const engines = await Promise.all([startServer(), startServer()]);
    const [first, second] = [own(engines[0]!), own(engines[1]!)];
    const instance = await connected(engines);
    second.signal('SIGSTOP');
    const outcome = await within(10_000, 'the stop', instance.scheduler.stop());
    second.signal('SIGCONT');
    expect(outcome).toEqual({ kind: 'unconfirmed', reason: expect.stringContaining(`http://${second.grpcAddress}: `) });
    expect(outcome).not.toMatchObject({ reason: expect.stringContaining(first.grpcAddress) });
    expect(JSON.parse((await first.http('GET', '/instances')).text).instances).toEqual([]);
  });

  it('S-44: one server is drained, replaced and taken up again by its own shard alone', async () => {
    const engines = await Promise.all([startServer(), startServer()]);
    const [first, second] = [own(engines[0]!), own(engines[1]!)];
    const instance = await connected(engines);
    const [epoch] = instance.scheduler.status.shards.map((status) => status.epoch);
    await within(10_000, 'the drain', instance.scheduler.drain(1));
    expect(instance.scheduler.status.state).toBe('drained');
    expect(instance.scheduler.status.shards[0]).toMatchObject({ state: 'connected', epoch });
    second.signal('SIGINT');
    expect(await within(10_000, 'the exit', second.exited)).toBe(0);
    await startEngine({ addr: second.grpcAddress });
    instance.scheduler.resume(1);
    await instance.connected();
    await saveThree(instance);
    expect(instance.scheduler.status.shards[0]).toMatchObject({ state: 'connected', epoch });
    expect(await first.rpcCount('register_context_batch')).toBe(2);
  });

  it('S-44: one of four servers is killed and started again under traffic: that shard alone recovers, and no wrong byte is read', async () => {
    const engines = await Promise.all(Array.from({ length: 4 }, () => startServer()));
    for (const engine of engines) own(engine);
    const others = engines.filter((_, shard) => shard !== 2);
    const instance = await connected(engines, { budgets: PATIENT });
    const epochs = instance.scheduler.status.shards.map(({ epoch }) => epoch);
    const registered = await rpcCounts(others, 'register_context_batch');
    const recovery = told(instance, 2);
    const traffic = own(new Traffic(instance));

    await traffic.until(() => traffic.loadedBlocks >= 6);
    await engines[2]!.fault({ copyDelayMs: 5_000 });
    const begun = traffic.begunLoads;
    await traffic.until(() => traffic.begunLoads > begun);
    engines[2]!.signal('SIGKILL');
    await traffic.until(() => traffic.missedWithoutServer >= 20);
    const asked = await queryCounts(others);
    await traffic.until(() => traffic.missedWithoutServer >= 40);
    expect(await queryCounts(others)).toEqual(asked);
    const loadedBefore = traffic.loadedBlocks;
    const restarted = await startEngine({ addr: engines[2]!.grpcAddress });
    await traffic.until(() => traffic.loadedBlocks >= loadedBefore + 6);
    await traffic.end();

    expect(traffic).toMatchObject({ wrongBlocks: 0, failedLoads: 1 });
    expect(await rpcCounts(others, 'register_context_batch')).toEqual(registered);
    const story = [...recovery, restarted.log].join('\n');
    expect(await restarted.rpcCount('register_context_batch', 'ok'), story).toBe(2);
    const now = instance.scheduler.status.shards.map(({ epoch }) => epoch);
    expect(now.map((epoch, shard) => epoch === epochs[shard])).toEqual([true, true, false, true]);
    for (const engine of [...others, restarted]) await nothingHeld(engine);
    expect(instance.workers.map(({ stats }) => stats.unsafeReleases)).toEqual(instance.workers.map(() => 0));
  }, 90_000);
});

/** What the scheduler and the ranks of one shard say of themselves from now on, a line each. */
function told({ scheduler, workers }: ShardedInstance, shard: number): string[] {
  const lines: string[] = [];
  const tell = (who: string, { path, epoch, fault, sinceMs }: ConnectorStatus) => {
    const line = `${sinceMs} ${who}: ${path} in #${epoch?.counter}, ${fault?.message ?? 'no fault'}`;
    if (!lines.includes(line)) lines.push(line);
  };
  scheduler.onStatus(({ shards }) => tell('scheduler', shards[shard]!));
  for (const [rank, worker] of workers.entries()) {
    if (shardOfRank(scheduler.layout, rank).shard !== shard) continue;
    worker.onStatus((status) => tell(`rank ${rank}`, status));
  }
  return lines;
}

/** Requests for one of three blocks, one after the other until the end: what is not found is computed and saved. */
class Traffic implements AsyncDisposable {
  missedWithoutServer = 0;
  loadedBlocks = 0;
  wrongBlocks = 0;
  failedLoads = 0;
  begunLoads = 0;
  #instance: ShardedInstance;
  #isEnding = false;
  #ended: Promise<void>;

  constructor(instance: ShardedInstance) {
    this.#instance = instance;
    this.#ended = this.#run();
    this.#ended.catch(() => {});
  }

  /** Settles while requests go on, or rejects with what ended them. */
  async until(isEnough: () => boolean): Promise<void> {
    const enough = eventually('enough traffic', () => (isEnough() ? true : null), 30_000);
    await Promise.race([enough, this.#ended.then(() => enough)]);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => {});
  }

  async #run(): Promise<void> {
    for (let request = 0; !this.#isEnding; request += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      await this.#serve(`request-${request}`, request % 3);
    }
  }

  async #serve(requestId: string, seed: number): Promise<void> {
    const { scheduler } = this.#instance;
    const blockHashes = [hashOf(`traffic-${seed}`)];
    const outcome = await scheduler.query({ requestId, blockHashes });
    if (outcome.kind === 'miss' && outcome.reason === 'notConnected') this.missedWithoutServer += 1;
    const isLoaded = outcome.kind === 'hit' && (await this.#load(requestId, seed));
    if (!isLoaded) {
      this.#instance.fill(0, seed);
      scheduler.scheduleSave({ requestId, blockIds: [0], blockHashes });
    }
    if (this.#instance.finish(requestId)) await this.#instance.ended(requestId, 'saved');
  }

  async #load(requestId: string, seed: number): Promise<boolean> {
    this.#instance.fill(4, 9);
    if (!this.#instance.scheduler.scheduleLoad(requestId, [4])) return false;
    this.#instance.step();
    this.begunLoads += 1;
    const { failedLoads } = await this.#instance.ended(requestId, 'loaded');
    this.failedLoads += failedLoads.length;
    if (failedLoads.length > 0) return false;
    this.loadedBlocks += 1;
    if (this.#instance.wrong(4, seed).length > 0) this.wrongBlocks += 1;
    return true;
  }
}
