import type { SchedulerStats } from '../connector/index.ts';
import { wallTimeMs } from '../wall-time.ts';
import type { Cache } from './record.ts';

export interface WatchedCache {
  readonly instanceId: string;
  readonly stats: SchedulerStats;
}

const INTERVAL_MS = 1_000;

/** Tells a scheduler's counts once a second where they changed, until the function it returns is called. */
export function watchCache(scheduler: WatchedCache, instance: string, tell: (cache: Cache) => void): () => void {
  let last = '';
  const look = () => {
    const counts = countsOf(scheduler.stats);
    const text = JSON.stringify(counts);
    if (text === last) return;
    last = text;
    tell({ type: 'cache', atMs: wallTimeMs(), instance, ...counts });
  };
  const timer = setInterval(look, INTERVAL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    look();
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
