/** The rules that keep the connector correct (one test each, by its name), against engines in processes of their own. */
import { createServer } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetsFrom } from '../machines/index.ts';
import type { LoadIntent, UnsafeRelease } from '../src/connector/index.ts';
import { layersIn } from '../src/connector/kv-caches.ts';
import { SchedulerRequests } from '../src/connector/scheduler/scheduler-requests.ts';
import { Loads } from '../src/connector/transfers/loads.ts';
import { type TransferLife, WorkerRequests } from '../src/connector/transfers/worker-requests.ts';
import { Connection } from '../src/rpc/connection.ts';
import { hashesOf, TestConnection, TestSession } from './support/engine-rank.ts';
import { own } from './support/own.ts';
import { ReusedBlocks } from './support/reused-blocks.ts';
import type { ServerProcess } from './support/server-process.ts';
import { itNeeds } from './support/server-under-test.ts';
import {
  endpointOf,
  kill,
  loadsTaken,
  startEngine,
  startInstance,
  startProxy,
  stepIntoLoad,
  successorOf,
} from './support/story.ts';
import { layersOf, TestInstance, type TestInstanceOptions } from './support/test-instance.ts';
import { TransferRecord } from './support/transfer-record.ts';
import { warmHashes, warmRank } from './support/warm-rank.ts';
import { isProcessKnown, watchedProcesses } from './support/watched-processes.ts';
import { eventually, within } from './support/within.ts';

/** Blocks that a query can find. */
async function residentBlocks(engine: ServerProcess): Promise<number> {
  const { text } = await engine.http('GET', '/metrics');
  return Number(/^pegaflow_cache_resident_blocks\{[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0);
}

async function saveThree(instance: TestInstance, requestId: string): Promise<void> {
  for (const rank of instance.memory) for (const block of [0, 1, 2]) rank.fill(block, block + 1);
  await instance.save(requestId, [0, 1, 2], warmHashes);
}

function holdsThree(instance: TestInstance, blockIds: readonly number[]): boolean {
  return instance.memory.every((rank) => blockIds.every((blockId, index) => rank.holds(blockId, index + 1)));
}

describe('invariants', () => {
  it('1: a query outside connected is a miss, in constant time, without an RPC', async () => {
    const engine = await startEngine();
    const instance = startInstance(endpointOf(engine));
    await instance.reached('connected');
    await engine.fault({ methods: { registerContextBatch: { hang: true } } });
    await engine.http('POST', '/instances/cleanup');
    await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: warmHashes });
    await instance.reached('reRegistering');
    const before = await engine.rpcCount('query_prefetch');
    for (let query = 0; query < 100; query += 1) {
      const outcome = await instance.scheduler.query({ requestId: `${query}`, blockHashes: warmHashes });
      expect(outcome).toEqual({ kind: 'miss', reason: 'notConnected' });
    }
    expect((await engine.rpcCount('query_prefetch')) - before).toBeLessThanOrEqual(1);
  });

  it('2: no call hangs: each settles within its declared budget, whatever the server does', async () => {
    const budgets = {
      queryTimeoutMs: 200,
      stopTimeoutMs: 1_000,
      pingIntervalMs: 100,
      pingTimeoutMs: 200,
    };
    const engine = await startEngine();
    const instance = startInstance(endpointOf(engine), { budgets });
    await instance.reached('connected');
    await saveThree(instance, 'kept');
    await instance.hit('loads', warmHashes);
    engine.signal('SIGSTOP');
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [0], blockHashes: hashesOf(1, 'frozen') });
    instance.step();
    const signal = AbortSignal.timeout(300);
    const preemptions = instance.workers.map((worker) => worker.handlePreemptions(['saves'], { signal }));
    const given = await within(5_000, 'the preemption to be given up', Promise.allSettled(preemptions));
    expect(given.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const outcome = await within(
      5_000,
      'the query',
      instance.scheduler.query({ requestId: 'asks', blockHashes: warmHashes }),
    );
    expect(outcome.kind).toBe('miss');
    expect(instance.finish('saves')).toBe(true);
    expect(instance.step()).toEqual({ loaded: [], saved: [], failedLoads: [] });
    expect(instance.workers.map((worker) => worker.stats.unsafeReleases)).toEqual([0, 0]);
    const stops = [instance.scheduler, ...instance.workers].map((connector) => connector.stop());
    for (const outcome of await within(5_000, 'the stops', Promise.all(stops))) {
      expect(outcome).toMatchObject({ kind: 'unconfirmed' });
    }
    engine.signal('SIGCONT');
  });

  it('3: no load reads blocks under a lease of another epoch (S-02 S-19)', async () => {
    const engine = await startEngine();
    const instance = startInstance(endpointOf(engine));
    await instance.reached('connected');
    await saveThree(instance, 'kept');
    await instance.hit('early', warmHashes);
    await instance.hit('issued', warmHashes);
    instance.scheduler.scheduleLoad('issued', [4, 5, 6]);
    const [issued] = instance.scheduler.buildMetadata().loads;
    await engine.http('POST', '/instances/cleanup');
    await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: warmHashes });
    await instance.reached('degraded', 'reRegistering');
    await instance.reached('connected');
    await loadsTaken(engine, 2 * instance.workers.length);
    const before = await engine.rpcCount('load');
    expect(instance.scheduler.scheduleLoad('early', [4, 5, 6])).toBe(false);
    for (const worker of instance.workers) {
      worker.startLoad([issued as LoadIntent]);
      expect(worker.takeLoadErrors()).toEqual([
        { requestId: 'issued', groupIds: [0], blockIds: [4, 5, 6], reason: 'the lease is of another epoch' },
      ]);
      expect(worker.takeFinished([])).toEqual({ loaded: ['issued'], saved: [] });
      expect(worker.stats.fencedLoads).toBe(1);
    }
    expect(await engine.rpcCount('load')).toBe(before);
  });

  it('4: every load and every save is reported exactly once, as succeeded or failed (S-22 S-23)', () => {
    const requests = ['a', 'b', 'c'];
    const steps = fc.array(
      fc.record({
        requestId: fc.constantFrom(...requests),
        what: fc.constantFrom('load', 'save', 'endLoad', 'endSave', 'finish', 'step'),
        rank: fc.nat(1),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (script) => new LedgerModel(requests).play(script)),
      { numRuns: 2_000 },
    );
  });

  itNeeds('a crash that copies on')(
    '5: a block that a load may still write or a save may still read is not handed back before its end is proved; the one exception, a time that the host declared, is counted as an unsafe release',
    async () => {
      await crashThatCopiesOn();
      await Promise.all([cutLink(), failedCopy(), saveThatOutlivesItsBudget()]);
    },
  );

  it('6: an instance is in service only after the server said sealed and every rank’s current boot confirmed its own registration in that epoch, and only while every rank serves', async () => {
    const engine = await startEngine();
    const instanceId = 'only-once-sealed';
    const predecessor = startInstance(endpointOf(engine), { instanceId, worldSize: 1 });
    await predecessor.reached('connected');
    const proxy = await startProxy(engine);
    const rankEndpoint = [endpointOf(engine), proxy.endpoint];
    const successor = own(
      // Blocks of two ranks are laid out otherwise than those of one.
      new TestInstance(endpointOf(engine), { instanceId, worldSize: 2, namespace: 'of two ranks', rankEndpoint }),
    );
    await engine.fault({ methods: { registerContextBatch: { delayMs: 100 } } });
    const states: string[] = [];
    successor.scheduler.onStatus(({ state }) => {
      states.push(`${state} with ${successor.workers.filter((worker) => worker.status.state === 'connected').length}`);
    });
    await predecessor.scheduler.stop();
    successor.start();
    await successor.reached('connected');
    expect(states.filter((state) => state.startsWith('connected'))).toEqual(['connected with 2']);
    expect(states.at(-1)).toBe('connected with 2');

    await proxy.refuse();
    proxy.cut();
    await eventually('a miss', async () => {
      const { kind } = await successor.scheduler.query({ requestId: 'asks', blockHashes: warmHashes });
      return kind === 'miss' && !successor.scheduler.isInService ? true : null;
    });
    expect(successor.scheduler.takesSaves).toBe(false);
    await proxy.admit();
    await successor.reached('connected');
    expect(successor.scheduler.takesSaves).toBe(true);
  });

  it('7: a lost registration is noticed and replayed whoever lost it, and without a restart too (S-43)', async () => {
    const engine = await startEngine();
    const instance = startInstance(endpointOf(engine), { instanceId: 'forgotten', budgets: { auditIntervalMs: 200 } });
    await instance.reached('connected');
    using connection = new TestConnection(`http://${engine.grpcAddress}`);
    const losses = [
      () => engine.http('POST', '/instances/cleanup?id=forgotten'),
      () => connection.client.unregisterContext({ instanceId: 'forgotten' }),
      async () => (await TestSession.open(connection.client, 'forgotten')).end(),
    ];
    for (const lose of losses) {
      const { epoch } = instance.scheduler.status;
      await lose();
      await eventually('another epoch in service', () => {
        const { status } = instance.scheduler;
        return status.state === 'connected' && status.epoch !== epoch ? status : null;
      });
      await saveThree(instance, `after ${epoch?.counter}`);
      await instance.hit(`hit after ${epoch?.counter}`, warmHashes);
      instance.scheduler.release(`hit after ${epoch?.counter}`);
    }
    expect(instance.scheduler.status.epoch?.counter).toBeGreaterThanOrEqual(4);
  });

  it('8: a restart that no probe could see is recovered from like any other (S-02)', async () => {
    let engine = await startEngine();
    const instance = startInstance(endpointOf(engine), { budgets: { auditIntervalMs: 60_000, auditFirstMs: 60_000 } });
    await instance.reached('connected');
    await saveThree(instance, 'before');
    for (const _ of [1, 2]) {
      const { epoch } = instance.scheduler.status;
      const killed = kill(engine);
      engine = await killed.then(() => successorOf(engine));
      await eventually('another epoch in service', () => {
        const { status } = instance.scheduler;
        return status.state === 'connected' && status.epoch !== epoch ? status : null;
      });
      expect(await instance.scheduler.query({ requestId: 'asks', blockHashes: warmHashes })).toEqual({
        kind: 'miss',
        reason: 'notCached',
      });
      await saveThree(instance, `after ${epoch?.counter}`);
      await instance.hit('asks', warmHashes);
      expect(instance.scheduler.scheduleLoad('asks', [4, 5, 6])).toBe(true);
      expect(await instance.ended('asks', 'loaded')).toMatchObject({ failedLoads: [] });
      expect(holdsThree(instance, [4, 5, 6])).toBe(true);
    }
  });

  it('9: after faults stop, every machine reaches connected with no operator', async () => {
    const budgets = {
      pingIntervalMs: 100,
      pingTimeoutMs: 200,
      surveyTimeoutMs: 300,
      sessionTimeoutMs: 300,
      stalledAfterMs: 200,
      stalledTimeoutMs: 300,
      versionProbeIntervalMs: 100,
      rankRedialMaxMs: 100,
    };
    let engine = await startEngine();
    const instance = startInstance(endpointOf(engine), { budgets });
    await instance.reached('connected');

    engine.signal('SIGSTOP');
    await instance.reached('reconnecting');
    engine.signal('SIGCONT');
    await instance.reached('connected');

    await engine.fault({ methods: { registerContextBatch: { hang: true } } });
    await engine.http('POST', '/instances/cleanup');
    await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: warmHashes });
    await instance.reached('reRegistering');
    await kill(engine);
    await instance.reached('reconnecting');

    const stranger = createServer((socket) => socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const [host, port] = engine.grpcAddress.split(':');
    await new Promise<void>((resolve) => stranger.listen(Number(port), host, resolve));
    await new Promise<void>((resolve) => stranger.once('connection', () => resolve()));
    await new Promise((resolve) => stranger.close(resolve));

    engine = await successorOf(engine, { version: '0.24.0' });
    await instance.reached('incompatible');
    expect(instance.scheduler.status.fault).toMatchObject({ kind: 'incompatible', serverVersion: '0.24.0' });
    await kill(engine);
    engine = await successorOf(engine);
    await instance.reached('connected');
    await Promise.all(
      instance.workers.map((worker) => eventually('the rank', () => worker.status.state === 'connected' || null)),
    );
  });

  it('10: stopping, in any state and across processes, leaves nothing open and nothing registered, or says unconfirmed and what is still held', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const left = async () => JSON.parse((await engine.http('GET', '/instances')).text).instances;
    const stages: ((instance: TestInstance) => Promise<unknown>)[] = [
      async () => {},
      (instance) => instance.reached('reRegistering'),
      (instance) => instance.reached('connected'),
      async (instance) => {
        await instance.reached('connected');
        await engine.http('POST', '/instances/cleanup');
        await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: warmHashes });
      },
    ];
    for (const reach of stages) {
      const instance = startInstance(endpointOf(engine));
      await reach(instance);
      const outcomes = await Promise.all([
        instance.scheduler.stop(),
        ...instance.workers.map((worker) => worker.stop()),
      ]);
      expect(outcomes).toEqual(outcomes.map(() => ({ kind: 'clean' })));
      expect(await left()).toEqual([]);
    }
    const { text } = await engine.http('GET', '/instances');
    expect(text).toBe('{"instances":[]}');

    await engine.fault({ methods: { unregisterContext: { delayMs: 300, times: 1 } } });
    const proxy = await startProxy(engine);
    const registering = startInstance(endpointOf(engine), { rankEndpoint: proxy.endpoint });
    await registering.at('reRegistering.clearing');
    await eventually('the links of the ranks', () => (proxy.connections === 2 ? true : null));
    // What the ranks send from now on may arrive at any time, or never.
    proxy.strand();
    await registering.at('reRegistering.sealing');
    const [given] = await Promise.all([
      registering.scheduler.stop(),
      ...registering.workers.map((worker) => worker.stop()),
    ]);
    const reason = expect.stringMatching(/^rank \d gave up a RegisterContextBatch without an answer/);
    expect(given).toEqual({ kind: 'unconfirmed', reason });

    const frozen = startInstance(endpointOf(engine), { budgets: { stopTimeoutMs: 400 } });
    await frozen.reached('connected');
    engine.signal('SIGSTOP');
    frozen.scheduler.scheduleSave({ requestId: 'held', blockIds: [0], blockHashes: hashesOf(1) });
    frozen.step();
    expect(await frozen.workers[0]?.stop()).toEqual({ kind: 'unconfirmed', requestIds: ['held'] });
    expect(await frozen.scheduler.stop()).toMatchObject({ kind: 'unconfirmed' });
    engine.signal('SIGCONT');
  });

  it('11: what was loaded is, byte for byte, what was saved under that hash in the same namespace', async () => {
    const engine = await startEngine();
    const writer = startInstance(endpointOf(engine), { namespace: 'shared' });
    const reader = startInstance(endpointOf(engine), { namespace: 'shared' });
    const stranger = startInstance(endpointOf(engine), { namespace: 'other' });
    await Promise.all([writer, reader, stranger].map((instance) => instance.reached('connected')));
    await saveThree(writer, 'kept');
    await reader.hit('reads', warmHashes);
    reader.scheduler.scheduleLoad('reads', [7, 3, 5]);
    expect(await reader.ended('reads', 'loaded')).toMatchObject({ failedLoads: [] });
    expect(holdsThree(reader, [7, 3, 5])).toBe(true);
    expect(await stranger.scheduler.query({ requestId: 'asks', blockHashes: warmHashes })).toEqual({
      kind: 'miss',
      reason: 'notCached',
    });
  });
});

async function oneRank(engine: ServerProcess, options: TestInstanceOptions = {}) {
  const warm = await warmRank(engine, options);
  return { ...warm, reused: new ReusedBlocks(warm.memory) };
}

/** A load that the server has accepted and that copies one block every 100 ms. */
async function startLoading(engine: ServerProcess, instance: TestInstance): Promise<void> {
  await engine.fault({ copyDelayMs: 100, copyAfterCloseMs: 1_000 });
  instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
  await stepIntoLoad(engine, instance);
}

/** Every connection closes and nobody listens any more, but the process lives on for a second and copies. */
async function crashThatCopiesOn(): Promise<void> {
  const engine = await startEngine();
  const watchedBefore = watchedProcesses();
  const { instance, worker, reused } = await oneRank(engine);
  await eventually('the rank to know the process', () => (isProcessKnown(watchedBefore) ? true : null));
  await startLoading(engine, instance);
  await engine.fault({ crash: true }).catch(() => {});
  await instance.ended('loads', 'loaded');
  reused.reuse([4, 5, 6]);
  await engine.exited;
  expect(reused.spoiled).toEqual([]);
  const { blocks, entered, ended } = worker.quarantine('load');
  // Its copy threads end when the copies do, which may be before the process does.
  expect({ blocks, entered, proofs: ended.strongProof + ended.threadsGone }).toEqual({
    blocks: 0,
    entered: 1,
    proofs: 1,
  });
  expect(worker.stats.unsafeReleases).toBe(0);
}

/** The rank's connection breaks between it and a server that lives. */
async function cutLink(): Promise<void> {
  const engine = await startEngine();
  const proxy = await startProxy(engine);
  const { instance, memory, worker, reused } = await oneRank(engine, { rankEndpoint: proxy.endpoint });
  await startLoading(engine, instance);
  proxy.cut();
  const { failedLoads } = await instance.ended('loads', 'loaded');
  expect([failedLoads, holdsThree(instance, [4, 5, 6])]).toEqual([[], true]);
  reused.reuse([4, 5, 6]);
  await instance.hit('again', warmHashes);
  instance.scheduler.scheduleLoad('again', [0, 1, 2]);
  await instance.ended('again', 'loaded');
  expect([reused.spoiled, memory.holds(0, 1)]).toEqual([[], true]);
  expect(worker.quarantine('load')).toMatchObject({ entered: 1, ended: { record: 1 } });
}

/** An accepted load ends in -1 while copies that were queued before the error still run. */
async function failedCopy(): Promise<void> {
  const engine = await startEngine();
  const { instance, memory, reused } = await oneRank(engine, { instanceId: 'fails-to-copy' });
  instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
  const [intent] = instance.scheduler.buildMetadata().loads;
  await engine.fault({ copyLandsAfterMs: 100 });
  const budgets = budgetsFrom();
  const connection = own(new Connection({ endpoint: `http://${engine.grpcAddress}`, budgets }));
  const up = Promise.withResolvers<void>();
  connection.open({ up: up.resolve, draining: () => {}, down: () => {} });
  await up.promise;
  const record = new TransferRecord();
  const target = {
    instanceId: 'fails-to-copy',
    tpRank: 0,
    deviceId: 0,
    layers: layersIn(intent!.epoch, layersOf(memory)),
  };
  // A block id that is not there: the connector itself would have refused it.
  const failing = { ...intent!, leases: [{ ...intent!.leases[0]!, blockIds: [4, 5, 1_000_000] }] };
  new Loads(budgets).start(connection.server, target, failing, record.events);
  await eventually('the end of the load', () => record.outcomes[0] ?? null);
  reused.reuse([4, 5]);
  // Copies land in their order: this one after all that were queued before it.
  await instance.hit('again', warmHashes);
  instance.scheduler.scheduleLoad('again', [0, 1, 2]);
  await instance.ended('again', 'loaded');
  expect(reused.spoiled).toEqual([]);
  expect(record.said).toEqual(['refuted: defect', 'failed by record']);
}

/** A living server reads the blocks of a save, and stores what it finds in them, after time has handed them back. */
async function saveThatOutlivesItsBudget(): Promise<void> {
  const engine = await startEngine();
  const { instance, memory, worker, reused } = await oneRank(engine, { budgets: { unsafeReleaseAfterMs: 1_000 } });
  const releases: UnsafeRelease[] = [];
  worker.onUnsafeRelease((release) => releases.push(release));
  await engine.fault({ copyDelayMs: 2_500, copyAfterCloseMs: 20_000 });
  const spoiled = hashesOf(1, 'spoiled');
  memory.fill(3, 33);
  await instance.save('late', [3], spoiled);
  reused.reuse([3]);
  expect(releases).toMatchObject([{ kind: 'save', requestId: 'late', blockIds: [3] }]);
  expect(worker.stats.unsafeReleases).toBe(1);
  await engine.fault({ copyDelayMs: null });
  await instance.reached('connected');
  await eventually('the server to have stored it', async () => ((await residentBlocks(engine)) === 4 ? true : null));
  const outcome = await instance.scheduler.query({ requestId: 'asks', blockHashes: spoiled });
  if (outcome.kind === 'hit') {
    instance.scheduler.scheduleLoad('asks', [7]);
    await instance.ended('asks', 'loaded');
    expect(memory.holds(7, 33), 'the block holds what was saved under its hash').toBe(true);
  }
  expect(outcome).toEqual({ kind: 'miss', reason: 'distrusted' });
}

interface LedgerStep {
  readonly requestId: string;
  readonly what: 'load' | 'save' | 'endLoad' | 'endSave' | 'finish' | 'step';
  readonly rank: number;
}

/** Two ranks' ledgers under the scheduler's, driven like a host drives them; throws at the first double or early report. */
class LedgerModel {
  #scheduler = new SchedulerRequests();
  #ranks = [new WorkerRequests(() => {}), new WorkerRequests(() => {})];
  #requestIds: readonly string[];
  /** Per rank and request: transfers begun and not ended. */
  #underWay = new Map<string, { loads: TransferLife[]; saves: TransferLife[] }>();
  #loading = new Set<string>();
  #held = new Set<string>();
  #finished = new Set<string>();
  #finishedNow: string[] = [];
  #told = new Map<string, Set<number>>();

  constructor(requestIds: readonly string[]) {
    this.#requestIds = requestIds;
  }

  play(script: readonly LedgerStep[]): void {
    for (const { requestId, what, rank } of script) this.#do(requestId, what, rank);
    for (const requestId of this.#requestIds) this.#do(requestId, 'finish', 0);
    this.#step();
    for (const requestId of this.#requestIds) {
      for (const rank of [0, 1]) {
        const flights = this.#flights(rank, requestId);
        while (flights.loads.length > 0) this.#endLoad(rank, requestId);
        while (flights.saves.length > 0) this.#endSave(rank, requestId);
      }
    }
    this.#step();
    expect([...this.#loading]).toEqual([]);
    expect([...this.#held]).toEqual([]);
  }

  #do(requestId: string, what: LedgerStep['what'], rank: number): void {
    const flights = this.#flights(rank, requestId);
    const epoch = { schedulerBootId: 'boot', counter: 1 };
    if (what === 'step') this.#step();
    if (what === 'endLoad' && flights.loads.length > 0) this.#endLoad(rank, requestId);
    if (what === 'endSave' && flights.saves.length > 0) this.#endSave(rank, requestId);
    if (this.#finished.has(requestId)) return;
    if (what === 'load' && !this.#loading.has(requestId)) {
      this.#loading.add(requestId);
      this.#scheduler.scheduleLoad({
        requestId,
        epoch,
        leases: [{ groupId: 0, lease: new Uint8Array(16), blockIds: [0] }],
      });
    }
    if (what === 'save') this.#scheduler.scheduleSave({ requestId, epoch, groupId: 0, blockIds: [], blockHashes: [] });
    if (what === 'finish') {
      this.#finished.add(requestId);
      this.#finishedNow.push(requestId);
      if (this.#scheduler.withdrawLoad(requestId)) this.#loading.delete(requestId);
      if (this.#scheduler.finish(requestId)) this.#held.add(requestId);
    }
  }

  #step(): void {
    const { loads, saves } = this.#scheduler.drain();
    const finishedNow = this.#finishedNow.splice(0);
    const ended = { loaded: [] as string[], saved: [] as string[] };
    for (const [rank, ledger] of this.#ranks.entries()) {
      for (const load of loads) this.#flights(rank, load.requestId).loads.push(ledger.begin('load', load)!);
      for (const save of saves) this.#flights(rank, save.requestId).saves.push(ledger.begin('save', save)!);
      for (const repeated of [...loads, ...saves]) expect(ledger.begin('load', repeated)).toBeNull();
      const told = ledger.take(finishedNow);
      for (const set of ['loaded', 'saved'] as const) {
        for (const requestId of told[set]) {
          const key = `${set} ${requestId}`;
          const ranks = this.#told.get(key) ?? new Set<number>();
          expect(ranks.has(rank), `rank ${rank} told ${key} twice`).toBe(false);
          this.#told.set(key, ranks.add(rank));
          if (ranks.size < this.#ranks.length) continue;
          this.#told.delete(key);
          ended[set].push(requestId);
        }
      }
    }
    const { finished } = this.#scheduler.applyEnds(ended);
    for (const requestId of [...finished.loaded, ...finished.saved]) this.#act(requestId);
  }

  /** What vLLM's scheduler does: a running request goes on, a finished one is freed, anything else is an assertion. */
  #act(requestId: string): void {
    for (const rank of [0, 1]) {
      const { loads, saves } = this.#flights(rank, requestId);
      const touched = this.#finished.has(requestId) ? loads.length + saves.length : loads.length;
      expect(touched, `${requestId} was handed back while rank ${rank} is under way`).toBe(0);
    }
    if (this.#finished.has(requestId)) expect(this.#held.delete(requestId), `${requestId} is not held`).toBe(true);
    else expect(this.#loading.has(requestId), `${requestId} is not loading`).toBe(true);
    this.#loading.delete(requestId);
  }

  #endLoad(rank: number, requestId: string): void {
    this.#flights(rank, requestId).loads.pop()?.end();
  }

  #endSave(rank: number, requestId: string): void {
    this.#flights(rank, requestId).saves.pop()?.end();
  }

  #flights(rank: number, requestId: string): { loads: TransferLife[]; saves: TransferLife[] } {
    const key = `${rank} ${requestId}`;
    const held = this.#underWay.get(key);
    if (held) return held;
    const flights = { loads: [], saves: [] };
    this.#underWay.set(key, flights);
    return flights;
  }
}
