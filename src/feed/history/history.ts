import type { FeedRecord } from '../record.ts';
import { type Numbered, Ring } from './ring.ts';
import { Standing } from './standing.ts';

/**
 * The newest records of a feed, numbered from 0, for any number of readers, each at its own place. A reader that is slow
 * holds nothing up: what it has not read is dropped when its time comes. The counts of caches have a bound of their own:
 * a few hours of traffic would push out the outage of this morning.
 */
export class History {
  /** After the newest record. */
  readonly standing = new Standing();
  readonly #counts: Ring<FeedRecord>;
  /** All but the counts. */
  readonly #steps: Ring<FeedRecord>;
  /** After all records that were dropped. */
  readonly #floor = new Standing();
  #first = 0;
  #length = 0;
  #isEnded = false;
  #changed: PromiseWithResolvers<void> | null = null;

  /** Keeps `limit` records, and at most as many counts of caches between and after them. Throws a RangeError where that is not a whole number above 0. */
  constructor(limit: number) {
    if (!(Number.isInteger(limit) && limit > 0)) {
      throw new RangeError(`the records to keep must be a whole number above 0, not ${limit}`);
    }
    this.#counts = new Ring(limit);
    this.#steps = new Ring(limit);
  }

  /** All records from this number on are kept, but for counts of caches. */
  get first(): number {
    return this.#first;
  }

  /** Nothing is kept of what was before, except where it led; `null` where all but counts of caches is kept. */
  get truncatedBeforeMs(): number | null {
    return this.#first === 0 ? null : (this.read(this.#first, 1)?.[0]?.record.atMs ?? null);
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
    const ring = record.type === 'cache' ? this.#counts : this.#steps;
    if (ring.isFull) {
      const dropped = ring.shift()!;
      if (ring === this.#steps) this.#beginAfter(dropped.number);
      this.#floor.apply(dropped.record);
    }
    ring.push({ number: this.#length, record });
    this.#length += 1;
    this.standing.apply(record);
    this.#emitChange();
  }

  end(): void {
    this.#isEnded = true;
    this.#emitChange();
  }

  /**
   * At most `count` records from number `from`; none where there is none yet, `null` where some are dropped already.
   * Numbers ascend; those of counts that were dropped are left out.
   */
  read(from: number, count: number): Numbered<FeedRecord>[] | null {
    if (from < this.#first) return null;
    const records = [...this.#steps.read(from, count), ...this.#counts.read(from, count)];
    return records.sort((a, b) => a.number - b.number).slice(0, count);
  }

  /** Settles at the next {@link push} or {@link end}. */
  changed(): Promise<void> {
    this.#changed ??= Promise.withResolvers();
    return this.#changed.promise;
  }

  #beginAfter(number: number): void {
    this.#first = number + 1;
    while ((this.#counts.oldest?.number ?? this.#first) < number) this.#floor.apply(this.#counts.shift()!.record);
  }

  #emitChange(): void {
    this.#changed?.resolve();
    this.#changed = null;
  }
}
