import { wallTimeMs } from '../../wall-time.ts';
import { Standing } from '../history/standing.ts';
import type { FeedRecord } from '../record.ts';

/**
 * What is new to a reader that reads one feed over several connections: each begins with the history once more, or with
 * that of a process which took the other's place.
 */
export class ResumedReading {
  #feedId = '';
  /** Number of the newest record that was told. */
  #last = -1;
  #standing = new Standing();
  #isStandingTold = false;
  #newestMs = 0;

  begin(feedId: string): void {
    if (feedId !== this.#feedId) this.#last = -1;
    this.#feedId = feedId;
    this.#standing = new Standing();
    this.#isStandingTold = false;
    this.#newestMs = 0;
  }

  /** What to tell now that this record was read; `number` is `null` where it says how things stood before the first. */
  take(record: FeedRecord, number: number | null): readonly FeedRecord[] {
    const isNew = number !== null && number > this.#last;
    const told = isNew ? [...this.caughtUp(), record] : [];
    if (isNew) this.#last = number;
    this.#newestMs = Math.max(this.#newestMs, record.atMs);
    this.#standing.apply(record);
    return told;
  }

  /** What to tell when the history was read to its end. */
  caughtUp(): readonly FeedRecord[] {
    if (this.#isStandingTold) return [];
    this.#isStandingTold = true;
    return this.#standing.records;
  }

  /** What to tell when the connection is lost: nothing is known of the machines any more. */
  lost(): readonly FeedRecord[] {
    if (!this.#isStandingTold) return [];
    this.#isStandingTold = false;
    // The clock of the feed's host may be ahead of this one; the end comes after the last step all the same.
    const atMs = Math.max(wallTimeMs(), this.#newestMs);
    return [...this.#standing.machines.keys()].map((machine) => ({ type: 'gone', atMs, machine }));
  }
}
