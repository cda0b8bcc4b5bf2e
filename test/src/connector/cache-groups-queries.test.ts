import { create } from '@bufbuild/protobuf';
import { createClient, createRouterTransport } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { createActor } from 'xstate';
import { type Budgets, breakerMachine, budgetsFrom, type Epoch, type Fault } from '../../../machines/index.ts';
import { Breakers } from '../../../src/connector/scheduler/breakers.ts';
import { CacheQueries } from '../../../src/connector/scheduler/cache-queries.ts';
import { Distrust } from '../../../src/connector/scheduler/distrust.ts';
import { FailedBlocks } from '../../../src/connector/scheduler/failed-blocks.ts';
import { loadIntentFrom } from '../../../src/connector/scheduler/hits.ts';
import { Leases } from '../../../src/connector/scheduler/leases.ts';
import type { Service } from '../../../src/connector/scheduler/service.ts';
import { Engine, type QueryRequest, QueryResponseSchema } from '../../../src/gen/pegaflow/engine_pb.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { eventually } from '../../support/within.ts';

const hashes = hashesOf(3);
const epochOf = (counter: number): Epoch => ({ schedulerBootId: 'boot', counter });

interface ScriptedReady {
  readonly hits: number;
  readonly positions?: number[];
  /** Default: whether there are hits. */
  readonly isLeased?: boolean;
}

type Script = (request: QueryRequest) => ScriptedReady | 'loading' | Promise<ScriptedReady>;

/** The query side of a scheduler in front of a server that answers by `script`; its n-th lease is 16 bytes of n. */
function harness(script: Script, budgets: Partial<Budgets> = {}) {
  const asked: QueryRequest[] = [];
  const released: number[] = [];
  const reported: Fault[] = [];
  let leaseCount = 0;
  let service: Service = {
    isAtHeldLimit: false,
    epoch: epochOf(1),
    announcement: { epoch: epochOf(1), action: 'register' },
  };
  const transport = createRouterTransport(({ rpc }) => {
    rpc(Engine.method.queryPrefetch, async (request) => {
      asked.push(request);
      const answer = await script(request);
      if (answer === 'loading') return create(QueryResponseSchema, { outcome: { case: 'loading', value: {} } });
      const { hits, positions = [], isLeased = hits > 0 } = answer;
      if (isLeased) leaseCount += 1;
      const lease = isLeased ? new Uint8Array(16).fill(leaseCount) : new Uint8Array();
      const value = { numHitBlocks: BigInt(hits), hitPositions: positions, lease };
      return create(QueryResponseSchema, { outcome: { case: 'ready', value } });
    });
    rpc(Engine.method.release, ({ lease }) => {
      released.push(lease[0] ?? 0);
      return {};
    });
  });
  const client = createClient(Engine, transport);
  const connection = { isUp: true, server: { call: <T>(rpc: (c: typeof client) => Promise<T>) => rpc(client) } };
  const shared = { connection, service: () => service };
  const reportFault = (fault: Fault) => reported.push(fault);
  const distrust = new Distrust();
  const observer = { queried: () => {}, fenced: () => {}, stalled: () => {}, refusedInUnknownWords: () => {} };
  const leases = new Leases({ ...shared, releaseTimeoutMs: 1_000, reportFault });
  const failed = new FailedBlocks(60_000);
  const refusedWork = {
    takeWithdrawn: () => false,
    loadablePrefix: (blockHashes: readonly Uint8Array[]) => failed.loadablePrefix(blockHashes, 0),
  };
  const closed = createActor(breakerMachine, { input: { breaker: 'queries', budgets: budgetsFrom() } }).start();
  const breakers = new Breakers(() => ({ saves: closed, loads: closed, queries: closed }));
  const waits = budgetsFrom(budgets);
  const all = {
    ...shared,
    instanceId: 'i',
    budgets: waits,
    leases,
    distrust,
    refusedWork,
    breakers,
    reportFault,
    observer,
  };
  const queries = new CacheQueries(all);
  return {
    queries,
    distrust,
    failed,
    asked,
    reported,
    ask: (groupId: number, query: { isAllOrNothing?: boolean; blockHashes?: Uint8Array[] } = {}) =>
      queries.query({ requestId: 'r', groupId, blockHashes: hashes, ...query }),
    moveTo: (epoch: Epoch, action: 'register' | 'keep') => {
      service = { epoch, announcement: { epoch, action }, isAtHeldLimit: false };
      leases.reconcile(service.announcement);
    },
    /** Settles when exactly these leases were given back. */
    released: async (...wanted: number[]) => {
      await eventually(`${wanted.length} leases to be given back`, () => released.length >= wanted.length || null);
      await new Promise((resolve) => setImmediate(resolve));
      expect(released.toSorted()).toEqual(wanted);
    },
  };
}

const whole: Script = ({ groupId }) => ({ hits: 3, ...(groupId > 0 ? { positions: [0, 1, 2] } : {}) });

it('each group of a request is asked under an id of its own and holds a lease of its own', async () => {
  const h = harness(whole);
  expect(await h.ask(1)).toEqual({ kind: 'hit', blocks: 3, positions: [0, 1, 2] });
  expect(await h.ask(0)).toEqual({ kind: 'hit', blocks: 3 });
  await h.ask(2);
  await h.ask(1);
  expect(h.asked.map(({ groupId, waitForFullPrefix }) => [groupId, waitForFullPrefix])).toEqual([
    [1, false],
    [0, false],
    [2, false],
  ]);
  expect(new Set(h.asked.map(({ reqId }) => reqId)).size).toBe(3);
  expect(h.queries.take('r', [0, 1, 2])?.hits.map(({ groupId, lease }) => [groupId, lease[0]])).toEqual([
    [0, 2],
    [1, 1],
    [2, 3],
  ]);
  expect(h.queries.take('r', [0, 1, 2])).toBeNull();
  await h.released();
});

it('S-57 a hit ends before the first block that a rank distrusts, and its load leaves the rest of the lease alone', async () => {
  const h = harness(whole);
  h.distrust.accept({ workerBootId: 'w', distrust: { revision: 1, hashes: [hashes[2]!] } });
  expect(await h.ask(0)).toEqual({ kind: 'hit', blocks: 2 });
  expect(h.queries.heldPositions('r')).toEqual([0, 1]);
  expect(await h.ask(1)).toEqual({ kind: 'hit', blocks: 2, positions: [0, 1] });
  expect(await h.ask(2, { isAllOrNothing: true })).toEqual({ kind: 'miss', reason: 'distrusted' });
  const taken = h.queries.take('r', [0, 1])!;
  expect(loadIntentFrom('r', taken, { 0: [7, 8], 1: [9] }).leases.map(({ blockIds }) => blockIds)).toEqual([
    [7, 8, null],
    [9, null, null],
  ]);
  expect(() => loadIntentFrom('r', taken, { 0: [7, 8, 9] })).toThrow(RangeError);
  await h.released(3);
  h.distrust.accept({ workerBootId: 'w', distrust: { revision: 2, hashes: [hashes[0]!] } });
  expect(await h.ask(0)).toEqual({ kind: 'miss', reason: 'distrusted' });
  await h.released(3, 4);
});

it('S-63 the lease of an answer that came after the deadline is given back', async () => {
  const answer = Promise.withResolvers<{ hits: number }>();
  const h = harness(() => answer.promise, { queryTimeoutMs: 20 });
  expect(await h.ask(0)).toEqual({ kind: 'miss', reason: 'failed' });
  expect(h.reported).toMatchObject([{ kind: 'timedOut' }]);
  answer.resolve({ hits: 3 });
  await h.released(1);
});

it('where the hit of one group is gone nothing is loaded and the others are given back', async () => {
  const h = harness(whole);
  await h.ask(0);
  expect(h.queries.take('r', [0, 1])).toBeNull();
  await h.released(1);
});

it('a hit of a group that is not loaded with the others is given back', async () => {
  const h = harness(whole);
  await h.ask(0);
  await h.ask(1);
  expect(h.queries.take('r', [0])?.hits).toHaveLength(1);
  await h.released(2);
});

it('a request that is over or released gives back what it held in every group', async () => {
  const h = harness(whole);
  for (const group of [0, 1, 2]) await h.ask(group);
  h.queries.release('r');
  await h.released(1, 2, 3);
  await h.ask(1);
  h.queries.forget('r');
  await h.released(1, 2, 3, 4);
});

it.each([
  ['keep', [1, 2]],
  ['register', []],
] as const)(
  'S-19 after a %s a load of the leases before it is refused as a whole, and what the server still holds is given back',
  async (action, givenBack) => {
    const h = harness(whole);
    await h.ask(0);
    await h.ask(1);
    h.moveTo(epochOf(2), action);
    expect(h.queries.take('r', [0, 1])).toBeNull();
    await h.released(...givenBack);
  },
);

it('S-19 one stale lease among fresh ones refuses the load, and the fresh ones are given back', async () => {
  const h = harness(whole);
  await h.ask(0);
  h.moveTo(epochOf(2), 'keep');
  await h.ask(1);
  expect(h.queries.take('r', [0, 1])).toBeNull();
  await h.released(1, 2);
});

it('S-24 an answer in any group that comes when its request is over is given back and counted', async () => {
  const late = Promise.withResolvers<ScriptedReady>();
  const h = harness(({ groupId }) => (groupId === 1 ? late.promise : { hits: 3 }));
  const asked = h.ask(1);
  await h.ask(0);
  h.queries.forget('r');
  late.resolve({ hits: 1, positions: [2] });
  expect(await asked).toEqual({ kind: 'miss', reason: 'superseded' });
  expect(h.queries.stats.staleResults).toBe(1);
  await h.released(1, 2);
});

it('S-18 an answer in a group above 0 from an epoch that is over is given back and counted', async () => {
  const late = Promise.withResolvers<ScriptedReady>();
  const h = harness(() => late.promise);
  const asked = h.ask(1);
  h.moveTo(epochOf(2), 'register');
  late.resolve({ hits: 1, positions: [2] });
  expect(await asked).toEqual({ kind: 'miss', reason: 'superseded' });
  expect(h.queries.stats.staleResults).toBe(1);
  await h.released(1);
});

it('asking one group anew supersedes nothing in another', async () => {
  const late = Promise.withResolvers<ScriptedReady>();
  const h = harness((request) => (request.groupId === 0 ? late.promise : whole(request)));
  const asked = h.ask(0);
  await h.ask(1);
  late.resolve({ hits: 2 });
  expect(await asked).toEqual({ kind: 'hit', blocks: 2 });
  await h.released();
});

it('all or nothing: less than all is a miss that holds nothing', async () => {
  const h = harness(({ groupId }) => (groupId === 0 ? { hits: 2 } : { hits: 2, positions: [0, 1], isLeased: false }));
  const wanted = { isAllOrNothing: true };
  expect(await h.ask(1, wanted)).toEqual({ kind: 'miss', reason: 'notCached' });
  expect(await h.ask(0, wanted)).toEqual({ kind: 'miss', reason: 'notCached' });
  expect(h.asked.map(({ waitForFullPrefix }) => waitForFullPrefix)).toEqual([true, false]);
  await h.released(1);
});

it('a hit that holds some of the blocks does not answer for all of them', async () => {
  const h = harness(({ waitForFullPrefix }) =>
    waitForFullPrefix ? { hits: 3, positions: [0, 1, 2] } : { hits: 1, positions: [2] },
  );
  expect(await h.ask(1)).toEqual({ kind: 'hit', blocks: 1, positions: [2] });
  expect(await h.ask(1, { isAllOrNothing: true })).toEqual({ kind: 'hit', blocks: 3, positions: [0, 1, 2] });
  expect(await h.ask(1)).toEqual({ kind: 'hit', blocks: 3, positions: [0, 1, 2] });
  expect(h.asked).toHaveLength(2);
  await h.released(1);
});

it.each([
  ['more hits than blocks', 0, { hits: 4 }],
  ['fewer positions than hits', 1, { hits: 2, positions: [1] }],
  ['positions beyond the query', 1, { hits: 1, positions: [3] }],
  ['positions that repeat', 1, { hits: 2, positions: [1, 1] }],
] as const)(
  'NC an answer with %s is no hit: its lease is given back and the fault is reported',
  async (_, group, said) => {
    const h = harness(() => ({ ...said, positions: 'positions' in said ? [...said.positions] : [] }));
    expect(await h.ask(group)).toEqual({ kind: 'miss', reason: 'failed' });
    expect(h.reported).toMatchObject([{ kind: 'defect' }]);
    expect(h.queries.take('r', [group])).toBeNull();
    await h.released(1);
  },
);

it('each group, and each new query of a group, is polled under a loading budget of its own', async () => {
  const h = harness(() => 'loading', { loadingTimeoutMs: 50 });
  const isMissed = async () => ((await h.ask(1)).kind === 'miss' ? true : null);
  expect(await isMissed()).toBeNull();
  await eventually('the miss', isMissed);
  expect(await h.ask(2)).toEqual({ kind: 'loading' });
  expect(await h.ask(1, { blockHashes: hashesOf(1, 'other') })).toEqual({ kind: 'loading' });
});

it.each([-1, 1.5, 2 ** 32, Number.NaN])(
  'a group that cannot be, such as %s, is a RangeError and costs no RPC',
  async (groupId) => {
    const h = harness(whole);
    await expect(h.ask(groupId)).rejects.toThrow(`groupId must be a whole number from 0, not ${groupId}`);
    expect(h.asked).toEqual([]);
  },
);
