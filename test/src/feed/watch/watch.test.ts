import { describe, expect, test, vi } from 'vitest';
import type { InspectionEvent, Snapshot } from 'xstate';
import charts from '../../../../src/feed/charts.json' with { type: 'json' };
import { ConnectorFeed } from '../../../../src/feed/connector-feed.ts';
import type { FeedRecord, Transition } from '../../../../src/feed/record.ts';
import { SchedulerConnector } from '../../../../src/index.ts';
import { atEnd } from '../../../support/own.ts';
import { startServer } from '../../../support/server-under-test.ts';
import { ShardedInstance } from '../../../support/sharded-instance.ts';
import { TestInstance } from '../../../support/test-instance.ts';
import { eventually } from '../../../support/within.ts';

function recordingFeed(): { feed: ConnectorFeed; records: FeedRecord[] } {
  const feed = new ConnectorFeed();
  atEnd(() => feed.close());
  const records: FeedRecord[] = [];
  feed.onRecord((record) => records.push(record));
  return { feed, records };
}

function transitionsOf(records: readonly FeedRecord[], machine: string): Transition[] {
  return records.filter((record) => record.type === 'transition').filter((record) => record.machine === machine);
}

const words = (records: readonly FeedRecord[]) =>
  records.flatMap((record) => (record.type === 'message' ? [`${record.from} to ${record.to}: ${record.name}`] : []));

describe('a feed of one instance whose server is killed', () => {
  test('tells where both halves stood, every step, what was said, and what was found', async () => {
    let engine = await startServer();
    atEnd(() => engine[Symbol.asyncDispose]());
    await using instance = new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 2 });
    const { feed, records } = recordingFeed();
    feed.watch(instance.scheduler, 'replica');
    for (const worker of instance.workers) feed.watch(worker, 'replica');
    const unstarted = {
      instance: 'replica',
      state: 'reconnecting.dialing',
      epoch: null,
      pid: process.pid,
      evidence: null,
    };
    expect(records).toMatchObject([
      { ...unstarted, type: 'machine', machine: 'replica/scheduler', kind: 'scheduler', rank: null },
      { ...unstarted, type: 'machine', machine: 'replica/rank 0', kind: 'worker', rank: 0 },
      { ...unstarted, type: 'machine', machine: 'replica/rank 1', kind: 'worker', rank: 1 },
    ]);
    instance.start();
    await instance.reached('connected');
    const { grpcAddress } = engine;
    await engine[Symbol.asyncDispose]();
    await instance.reached('degraded', 'reconnecting');
    engine = await startServer({ addr: grpcAddress });
    await instance.reached('connected');

    for (const machine of ['replica/scheduler', 'replica/rank 0', 'replica/rank 1']) {
      const steps = transitionsOf(records, machine);
      expect(steps.map(({ atMs }) => atMs)).toEqual(steps.map(({ atMs }) => atMs).sort((a, b) => a - b));
      expect(steps.at(-1)).toMatchObject({ to: expect.stringMatching(/^connected/), epoch: '#2' });
      const found = steps.find(({ from, evidence }) => from.startsWith('connected') && evidence !== null);
      expect(found).toMatchObject({ event: 'link.ended', epoch: '#1', evidence: { kind: 'unreachable' } });
      const { edges } = machine === 'replica/scheduler' ? charts.scheduler : charts.worker;
      expect(edges.map(({ id }) => id)).toEqual(expect.arrayContaining(steps.flatMap(({ edge }) => edge ?? [])));
      expect(steps.filter(({ edge }) => edge === null)).toEqual([]);
      expect(steps.map(({ event }) => event).filter((event) => event.startsWith('xstate.'))).toEqual([]);
    }
    expect(words(records)).toEqual(
      expect.arrayContaining([
        'replica/scheduler to ranks: register #1',
        'replica/rank 0 to replica/scheduler: registered #1',
        'replica/rank 1 to replica/scheduler: registered #1',
        'replica/scheduler to ranks: wait #1',
        'replica/scheduler to ranks: register #2',
        'replica/rank 0 to replica/scheduler: registered #2',
        'replica/rank 1 to replica/scheduler: registered #2',
      ]),
    );
    const { machines } = feed.status;
    expect(machines.map(({ machine, state, epoch }) => [machine, state, epoch])).toEqual([
      ['replica/scheduler', instance.scheduler.status.path, '#2'],
      ['replica/rank 0', 'connected', '#2'],
      ['replica/rank 1', 'connected', '#2'],
    ]);
  });

  test('tells of a query what it asked for and what it hit, and of one in an outage that it missed', async () => {
    await using engine = await startServer();
    await using instance = new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1 });
    const { feed, records } = recordingFeed();
    feed.watch(instance.scheduler);
    const hashes = [1, 2, 3].map((value) => new Uint8Array(32).fill(value));
    await instance.scheduler.query({ requestId: 'before', blockHashes: hashes });
    instance.start();
    await instance.reached('connected');
    await instance.save('saved', [0, 1], hashes.slice(0, 2));
    await instance.hit('hit', hashes.slice(0, 2));
    const { queries, blocks } = instance.scheduler.stats;
    const counted = await eventually(
      'the counts',
      () => records.findLast(({ type }) => type === 'cache') ?? null,
      10_000,
    );
    expect(counted).toMatchObject({ instance: instance.scheduler.instanceId, missesDegraded: 1 });
    expect(blocks.hit).toBe(2);
    expect(blocks.asked).toBe(3 + 2 * (queries.hit + queries.notCached));
    const asMany = (record: FeedRecord) =>
      record.type === 'cache' && record.askedBlocks === blocks.asked && record.hitBlocks === 2;
    await eventually('the last counts', () => records.find(asMany) ?? null, 10_000);
    const told = records.filter(({ type }) => type === 'cache').map((record) => JSON.stringify({ ...record, atMs: 0 }));
    expect(new Set(told).size).toBe(told.length);
  });

  test('tells each shard of an instance over several servers by its own name', async () => {
    await using first = await startServer();
    await using second = await startServer();
    await using instance = new ShardedInstance([first, second], { worldSize: 2 });
    const { feed } = recordingFeed();
    feed.watch(instance.scheduler, 'replica');
    for (const worker of instance.workers) feed.watch(worker, 'replica');
    instance.start();
    await instance.connected();
    expect(feed.status.machines.map(({ machine, state }) => [machine, state.split('.')[0]])).toEqual([
      ['replica shard 0/scheduler', 'connected'],
      ['replica shard 0/rank 0', 'connected'],
      ['replica shard 1/scheduler', 'connected'],
      ['replica shard 1/rank 0', 'connected'],
    ]);
    const counts = await eventually('the counts of both', () =>
      feed.status.caches.length > 1 ? feed.status.caches : null,
    );
    expect(counts.map((cache) => cache.instance)).toEqual(['replica shard 0', 'replica shard 1']);
  });
});

describe('watching a connector', () => {
  const options = {
    endpoint: 'http://127.0.0.1:1',
    instanceId: 'replica',
    namespace: 'model',
    worldSize: 1,
    tpSize: 1,
    budgets: { stopTimeoutMs: 100 },
  };

  test('leaves the inspector that it was given in place', async () => {
    const seen: string[] = [];
    const scheduler = new SchedulerConnector({ ...options, inspect: ({ type }) => seen.push(type) });
    const { feed, records } = recordingFeed();
    feed.watch(scheduler);
    scheduler.start();
    await eventually('a step', () => (transitionsOf(records, 'replica/scheduler').length > 0 ? true : null));
    expect(new Set(seen)).toContain('@xstate.microstep');
    await scheduler.stop();
  });

  test('tells the last counts of a scheduler that stops', async () => {
    const scheduler = new SchedulerConnector(options);
    const { feed, records } = recordingFeed();
    feed.watch(scheduler);
    scheduler.start();
    await scheduler.query({ requestId: 'request', blockHashes: [Uint8Array.of(1)] });
    await scheduler.stop();
    expect(records.findLast(({ type }) => type === 'cache')).toMatchObject({ queries: 1, missesDegraded: 1 });
  });

  test('runs no timer for one that has stopped', async () => {
    const begun = vi.spyOn(globalThis, 'setInterval');
    const ended = vi.spyOn(globalThis, 'clearInterval');
    atEnd(() => vi.restoreAllMocks());
    const running = () =>
      begun.mock.results.filter(({ value }) => !ended.mock.calls.some(([timer]) => timer === value)).length;
    const { feed } = recordingFeed();
    const before = running();
    const scheduler = new SchedulerConnector(options);
    const stop = feed.watch(scheduler);
    expect(running()).toBe(before + 1);
    scheduler.start();
    await scheduler.stop();
    expect(running()).toBe(before);
    feed.watch(scheduler, 'watched too late');
    expect(running()).toBe(before);
    expect(feed.status.machines).toHaveLength(2);
    stop();
    expect(feed.status.machines).toMatchObject([{ instance: 'watched too late', state: 'stopped' }]);
  });

  test('keeps no counts of an instance of which no machine is left', async () => {
    const scheduler = new SchedulerConnector(options);
    const { feed } = recordingFeed();
    const stop = feed.watch(scheduler);
    scheduler.start();
    await scheduler.stop();
    expect(feed.status.caches).toHaveLength(1);
    stop();
    expect(feed.status.caches).toEqual([]);
  });

  test('ends with the word that nothing more is known of it', async () => {
    const scheduler = new SchedulerConnector(options);
    const { feed, records } = recordingFeed();
    const stop = feed.watch(scheduler);
    stop();
    stop();
    scheduler.start();
    await scheduler.stop();
    expect(records.filter(({ type }) => type === 'gone')).toMatchObject([{ machine: 'replica/scheduler' }]);
    expect(transitionsOf(records, 'replica/scheduler')).toEqual([]);
    expect(feed.status.machines).toEqual([]);
  });

  test('S-53 costs the connector nothing where the one who is told throws', async () => {
    const scheduler = new SchedulerConnector(options);
    const feed = new ConnectorFeed();
    let calls = 0;
    feed.onRecord(() => {
      calls += 1;
      throw new Error('full');
    });
    feed.watch(scheduler);
    scheduler.start();
    await eventually('a dial', () => (feed.status.machines[0]?.evidence ? true : null));
    expect(await scheduler.stop()).toEqual({ kind: 'clean' });
    expect(feed.status.machines).toMatchObject([{ state: 'stopped' }]);
    expect(calls).toBe(1);
    await feed.close();
  });

  test('tells whoever comes in the place of one that was told where everything stands first', () => {
    const { feed: ranks } = recordingFeed();
    const instance = new TestInstance('http://127.0.0.1:9', { worldSize: 2 });
    atEnd(() => instance[Symbol.asyncDispose]());
    for (const worker of instance.workers) ranks.watch(worker, 'replica');
    const replaced = recordingFeed().feed;
    ranks.onRecord((record) => replaced.accept(record));
    const successor = recordingFeed().feed;
    ranks.onRecord((record) => successor.accept(record));
    const namesIn = ({ status }: ConnectorFeed) => status.machines.map(({ machine }) => machine);
    expect(namesIn(successor)).toEqual(['replica/rank 0', 'replica/rank 1']);
    expect(namesIn(replaced)).toEqual(namesIn(successor));
  });

  test('ends with the first record where the one who is told at once throws', () => {
    const { feed } = recordingFeed();
    for (const instanceId of ['a', 'b']) feed.watch(new SchedulerConnector({ ...options, instanceId }));
    let calls = 0;
    feed.onRecord(() => {
      calls += 1;
      throw new Error('full');
    });
    expect(calls).toBe(1);
  });

  test('S-53 does not fail a step of its machine that the feed cannot read', () => {
    const { feed, records } = recordingFeed();
    const { status } = new SchedulerConnector(options);
    let tell: (event: InspectionEvent) => void = () => {};
    const unread = {
      instanceId: 'replica',
      status,
      onStatus: () => () => {},
      inspect: (listener: typeof tell) => {
        tell = listener;
        return () => {};
      },
    };
    feed.watch(unread);
    const snapshot = { value: { reconnecting: 'waiting' }, context: null } as unknown as Snapshot<unknown>;
    const step = { type: '@xstate.microstep', rootId: 'a', actorRef: { sessionId: 'a' }, snapshot } as InspectionEvent;
    expect(() => tell(step)).not.toThrow();
    expect(records.map(({ type }) => type)).toEqual(['machine', 'gone']);
  });

  test('by a feed that is closed goes on without it', async () => {
    const scheduler = new SchedulerConnector(options);
    const { feed, records } = recordingFeed();
    feed.watch(scheduler);
    await feed.close();
    const told = records.length;
    feed.watch(scheduler);
    scheduler.start();
    expect(await scheduler.stop()).toEqual({ kind: 'clean' });
    expect(records).toHaveLength(told);
  });
});
