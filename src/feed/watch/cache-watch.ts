import type { SchedulerStats } from '../../connector/index.ts';
import { wallTimeMs } from '../../wall-time.ts';
import type { Cache } from '../record.ts';

export interface WatchedCache {
  readonly instanceId: string;
  readonly stats: SchedulerStats;
}

const INTERVAL_MS = 1_000;

export interface CacheWatch extends Disposable {
  /** Tells the counts now, where they changed. */
  look(): void;
}

/**
 * Tells a scheduler's counts once a second where they changed, until it is disposed of. A query asks all shards of an
 * instance, so the counts are those of each: `instances` are their names.
 */
export function watchCache(
  scheduler: WatchedCache,
  instances: readonly string[],
  tell: (cache: Cache) => void,
): CacheWatch {
  let last = '';
  const look = () => {
    const counts = countsOf(scheduler.stats);
    const text = JSON.stringify(counts);
    if (text === last) return;
    last = text;
    const atMs = wallTimeMs();
    for (const instance of instances) tell({ type: 'cache', atMs, instance, ...counts });
  };
  const timer = setInterval(look, INTERVAL_MS);
  timer.unref();
  return {
    look,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function countsOf({ queries, blocks }: SchedulerStats): Omit<Cache, 'type' | 'atMs' | 'instance'> {
  const { hit, loading, ...missed } = queries;
  const misses = Object.values(missed).reduce((sum, count) => sum + count, 0);
  return {
    queries: hit + loading + misses,
    askedBlocks: blocks.asked,
    hitBlocks: blocks.hit,
    misses,
    missesDegraded: queries.notConnected,
  };
}
