import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { countQuery, noQueries } from '../../../../src/connector/query.ts';
import type { Cache } from '../../../../src/feed/record.ts';
import { watchCache } from '../../../../src/feed/watch/cache-watch.ts';

const query = { requestId: 'request', blockHashes: [1, 2, 3, 4].map((value) => Uint8Array.of(value)) };

function counting() {
  const stats = { queries: noQueries(), blocks: { asked: 0, hit: 0 }, staleResults: 0 };
  const told: Cache[] = [];
  const watch = watchCache({ instanceId: 'replica', stats }, ['replica'], (cache) => told.push(cache));
  return { stats, told, watch };
}

describe("a scheduler's counts", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  test('are told once a second, and only where they changed', () => {
    const { stats, told, watch } = counting();
    vi.advanceTimersByTime(3_000);
    countQuery(stats, query, { kind: 'hit', blocks: 3 });
    countQuery(stats, query, { kind: 'miss', reason: 'notConnected' });
    vi.advanceTimersByTime(3_000);
    const counts = ({ queries, askedBlocks, hitBlocks, misses, missesDegraded }: Cache) => [
      [queries, askedBlocks, hitBlocks],
      [misses, missesDegraded],
    ];
    expect(told.map(counts)).toEqual([
      [
        [0, 0, 0],
        [0, 0],
      ],
      [
        [2, 8, 3],
        [1, 1],
      ],
    ]);
    watch[Symbol.dispose]();
  });

  test('count no block of a query that is still to be answered', () => {
    const { stats, told, watch } = counting();
    countQuery(stats, query, { kind: 'loading' });
    watch.look();
    expect(told).toMatchObject([{ queries: 1, askedBlocks: 0, misses: 0 }]);
    watch[Symbol.dispose]();
  });

  test('are told no more once they are not watched', () => {
    const { told, watch } = counting();
    watch[Symbol.dispose]();
    vi.advanceTimersByTime(5_000);
    expect(told).toEqual([]);
  });
});
