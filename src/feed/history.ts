import type { FeedRecord } from './record.ts';
import { Standing } from './standing.ts';

/**
 * The newest records of a feed, numbered from 0, for any number of readers, each at its own place. A reader that is slow
 * holds nothing up: what it has not read is dropped when its time comes.
 */
export class History {
  /** After the newest record. */
  readonly standing = new Standing();
  readonly #limit: number;
  readonly #slots: FeedRecord[] = [];
  /** Before the oldest record that is kept. */
  readonly #floor = new Standing();
  #length = 0;
  #isEnded = false;
  #news: PromiseWithResolvers<void> | null = null;

  /** Keeps `limit` records. Throws a RangeError where that is not a whole number above 0. */
  constructor(limit: number) {
    if (!(Number.isInteger(limit) && limit > 0)) {
      throw new RangeError(`the records to keep must be a whole number above 0, not ${limit}`);
    }
    this.#limit = limit;
  }

  /** Number of the oldest record that is kept. */
  get first(): number {
    return Math.max(0, this.#length - this.#limit);
  }

  /** Nothing is kept of what was before, except where it led; `null` where all is kept. */
  get truncatedBeforeMs(): number | null {
    return this.first === 0 ? null : (this.#slots[this.first % this.#limit]?.atMs ?? null);
  }

  /** Where everything stood before the oldest record that is kept. */
  get opening(): FeedRecord[] {
    return this.#floor.records;
  }

  /** No record follows: a reader that has read everything is done. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  push(record: FeedRecord): void {
    const slot = this.#length % this.#limit;
    const dropped = this.#slots[slot];
    if (dropped !== undefined) this.#floor.apply(dropped);
    this.#slots[slot] = record;
    this.#length += 1;
    this.standing.apply(record);
    this.#tellNews();
  }

  end(): void {
    this.#isEnded = true;
    this.#tellNews();
  }

  /** At most `count` records from number `from`; none where there is none yet, `null` where some are dropped already. */
  read(from: number, count: number): FeedRecord[] | null {
    if (from < this.first) return null;
    const until = Math.min(this.#length, from + count);
    return Array.from({ length: until - from }, (_, index) => this.#slots[(from + index) % this.#limit]!);
  }

  /** Settles at the next {@link push} or {@link end}. */
  news(): Promise<void> {
    this.#news ??= Promise.withResolvers();
    return this.#news.promise;
  }

  #tellNews(): void {
    this.#news?.resolve();
    this.#news = null;
  }
}
