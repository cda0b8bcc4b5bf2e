import type { FeedRecord } from '../record.ts';
import { attach } from './attachment.ts';

/** Hears what becomes of the feeds. */
export interface MergeObserver {
  reached(address: string): void;
  lost(address: string, reason: string): void;
}

/** One that takes longer, such as a frozen process, does not keep the others' past from being told. */
const PAST_TIMEOUT_MS = 2_000;

/**
 * Follows several feeds as one, until `signal` aborts. What they tell of the past is told in the order of its time, once
 * each of them was read or was found not to be there.
 */
export async function mergeFeeds(
  addresses: readonly string[],
  tell: (record: FeedRecord) => void,
  observer: MergeObserver,
  signal: AbortSignal,
): Promise<void> {
  const awaited = new Set(addresses);
  const past: { readonly record: FeedRecord; readonly orderMs: number }[] = [];
  /** Address by feed: one that is reached at several addresses is told once. */
  const tellers = new Map<string, string>();
  const settle = (address: string) => {
    if (!awaited.delete(address) || awaited.size > 0) return;
    clearTimeout(timer);
    for (const { record } of past.splice(0).sort((a, b) => a.orderMs - b.orderMs)) tell(record);
  };
  const timer = setTimeout(() => {
    for (const address of [...awaited]) settle(address);
  }, PAST_TIMEOUT_MS);
  const attached = [...awaited].map((address) => {
    let feedId = '';
    let newestMs = Number.NEGATIVE_INFINITY;
    return attach(
      address,
      {
        began: (id) => {
          feedId = id;
          if (!tellers.has(id)) tellers.set(id, address);
        },
        record: (record) => {
          if (tellers.get(feedId) !== address) return;
          // A machine that is told again has the time at which it entered its state; the order of its feed stays.
          newestMs = Math.max(newestMs, record.atMs);
          if (awaited.size > 0) past.push({ record, orderMs: newestMs });
          else tell(record);
        },
        caughtUp: () => {
          settle(address);
          observer.reached(address);
        },
        lost: (reason) => {
          settle(address);
          observer.lost(address, reason);
        },
      },
      signal,
    );
  });
  await Promise.all(attached);
  clearTimeout(timer);
}
