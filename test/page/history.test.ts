import { describe, expect, it } from 'vitest';
import charts from '../../src/feed/charts.json' with { type: 'json' };
import type { Cache, Charts, Header } from '../../src/feed/record.ts';
import { accept, createHistory, instancesOf, ranksOf, schedulerOf, stepAt } from '../../src/page/history.js';
import { outagesOf } from '../../src/page/outages.js';
import { connected, lost, outage, schedulerId, step } from './support/synthetic-outage.ts';

const replica = { instance: 'replica-0', ranks: 3 };
const scheduler = schedulerId(replica.instance);
const header: Header = {
  type: 'header',
  version: 1,
  product: 'test',
  startedAtMs: 0,
  charts: charts as Charts,
  isLive: true,
  truncatedBeforeMs: null,
  feedId: 'one',
};

function historyOf(...records: readonly Parameters<typeof accept>[1][]) {
  const history = createHistory(1000);
  for (const record of records) accept(history, record);
  return history;
}

function sample(atMs: number): Cache {
  const counts = { queries: atMs, askedBlocks: atMs, hitBlocks: atMs, misses: 0, missesDegraded: 0 };
  return { type: 'cache', instance: 'replica-0', atMs, ...counts };
}

describe('the history of a feed', () => {
  it('knows the state of every machine at any moment', () => {
    const history = historyOf(...connected(replica, 1000), ...outage(replica, 5000));
    const stateAt = (atMs: number) => stepAt(schedulerOf(history, 'replica-0'), atMs)?.state ?? null;
    expect([999, 1000, 5019, 5020, 5021, 6055, 6100].map(stateAt)).toEqual([
      null,
      'connected.serving',
      'connected.serving',
      'degraded.assessing',
      'reconnecting.dialing',
      'reRegistering.announcing',
      'connected.unaudited',
    ]);
    expect(ranksOf(history, 'replica-0').map((rank) => stepAt(rank, 5500)?.state)).toEqual(
      Array(3).fill('reconnecting.dialing'),
    );
  });

  it('puts what arrives late where it belongs', () => {
    const late = step(scheduler, 1500, 'connected.serving', 'connected.auditing', 'after auditInterval', '#1');
    const next = step(scheduler, 2000, 'connected.auditing', 'connected.serving', 'survey done', '#1');
    const history = historyOf(...connected(replica, 1000), next, late);
    expect(schedulerOf(history, 'replica-0')?.steps.map(({ atMs }) => atMs)).toEqual([1000, 1500, 2000]);
    expect([history.fromMs, history.toMs]).toEqual([1000, 2000]);
  });

  it('begins anew with a header: what follows repeats what was kept', () => {
    const history = historyOf(
      header,
      ...connected(replica, 1000),
      header,
      ...connected({ instance: 'other', ranks: 1 }, 1),
    );
    expect(instancesOf(history)).toEqual(['other']);
    expect(history.fromMs).toBe(1);
  });

  it('knows from its header since when a feed tells everything', () => {
    expect(historyOf({ ...header, truncatedBeforeMs: 7000 }, ...connected(replica, 1000)).truncatedBeforeMs).toBe(7000);
  });

  it('says that a machine is gone, and takes one that was seen again', () => {
    const [seen] = connected(replica, 3000);
    const history = historyOf(...connected(replica, 1000), { type: 'gone', atMs: 2000, machine: scheduler }, seen!);
    expect(schedulerOf(history, 'replica-0')?.steps.map(({ state }) => state)).toEqual([
      'connected.serving',
      'gone',
      'connected.serving',
    ]);
  });

  it('takes a machine that is told again in a state that it entered before it was gone, each time', () => {
    const [seen] = connected(replica, 1000);
    const gone = (atMs: number) => ({ type: 'gone', atMs, machine: scheduler }) as const;
    const history = historyOf(...connected(replica, 1000), gone(2000), seen!, gone(3000), seen!);
    const stateAt = (atMs: number) => stepAt(schedulerOf(history, 'replica-0'), atMs)?.state;
    expect([1999, 2999, 3000].map(stateAt)).toEqual(['connected.serving', 'connected.serving', 'connected.serving']);
    accept(history, gone(4000));
    expect([3999, 4000].map(stateAt)).toEqual(['connected.serving', 'gone']);
  });

  it('says that a machine is gone where the clock of its host is ahead of the one of the reader', () => {
    const history = historyOf(...connected(replica, 60_000), { type: 'gone', atMs: 2000, machine: scheduler });
    expect(stepAt(schedulerOf(history, 'replica-0'), 60_000)?.state).toBe('gone');
  });

  it('knows a machine of which it never heard but in a step', () => {
    const history = historyOf(step('a/b/rank 12', 1, 'connected', 'degraded.verifying', 'rpc.failed', '#1'));
    expect(ranksOf(history, 'a/b').map(({ rank }) => rank)).toEqual([12]);
  });

  it('keeps the newest evidence through steps that bring none', () => {
    const history = historyOf(...connected(replica, 1000), ...lost(replica, 2000));
    expect(stepAt(schedulerOf(history, 'replica-0'), 3000)).toMatchObject({
      evidence: { kind: 'unreachable' },
      isEvidenceNew: false,
    });
  });

  it('forgets the older half when it is full, but not where a machine was', () => {
    const history = historyOf(...connected(replica, 0));
    for (let atMs = 1; atMs <= 5000; atMs += 1) {
      accept(history, step(scheduler, atMs, '', atMs % 2 ? 'reconnecting.dialing' : 'reconnecting.waiting', '', '#1'));
    }
    expect(history.steps).toBeLessThanOrEqual(1000);
    expect(schedulerOf(history, 'replica-0')?.steps.length).toBeLessThanOrEqual(1000);
    expect(ranksOf(history, 'replica-0').map((rank) => stepAt(rank, 5000)?.state)).toEqual(Array(3).fill('connected'));
    expect(history.fromMs).toBeGreaterThan(4000);
  });

  it('forgets the older samples of the cache, but no outage for their sake', () => {
    const history = historyOf(...connected(replica, 0), ...outage(replica, 5000));
    for (let atMs = 10_000; atMs < 15_000; atMs += 1) accept(history, sample(atMs));
    expect(history.caches.get('replica-0')?.length).toBeLessThanOrEqual(1000);
    expect(history.caches.get('replica-0')?.at(-1)).toEqual(sample(14_999));
    expect(outagesOf(history, 'replica-0', 15_000)).toHaveLength(1);
    expect(history.truncatedBeforeMs).toBe(null);
  });

  it('forgets what was said of the server long ago', () => {
    const history = historyOf(...connected(replica, 0));
    for (let atMs = 1; atMs <= 5000; atMs += 1) {
      accept(history, { type: 'server', atMs, what: atMs % 2 ? 'stopped' : 'listening', how: null });
    }
    expect(history.servers.length).toBeLessThanOrEqual(1000);
    expect(history.truncatedBeforeMs).toBeGreaterThan(4000);
  });

  it('forgets an instance that has long been gone, and its cache', () => {
    const old = { instance: 'old', ranks: 2 };
    const history = historyOf(...connected(old, 0), { ...sample(1), instance: 'old' });
    for (const machine of [...history.machines.keys()]) accept(history, { type: 'gone', atMs: 2, machine });
    for (const record of connected(replica, 3)) accept(history, record);
    expect(instancesOf(history)).toEqual(['old', 'replica-0']);
    for (let atMs = 4; atMs <= 5000; atMs += 1)
      accept(history, step(scheduler, atMs, '', 'connected.auditing', '', '#1'));
    expect(instancesOf(history)).toEqual(['replica-0']);
    expect([...history.caches.keys()]).toEqual([]);
  });
});
