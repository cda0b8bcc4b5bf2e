/** A record, and its place among all records of its feed. */
export interface Numbered<T> {
  readonly number: number;
  readonly record: T;
}

/** A queue of a bounded number of records, whose numbers ascend. */
export class Ring<T> {
  readonly #limit: number;
  readonly #slots: Numbered<T>[] = [];
  #start = 0;
  #end = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#end - this.#start === this.#limit;
  }

  get oldest(): Numbered<T> | undefined {
    return this.#start < this.#end ? this.#slots[this.#start % this.#limit] : undefined;
  }

  /** Only where it is not full. */
  push(record: Numbered<T>): void {
    this.#slots[this.#end % this.#limit] = record;
    this.#end += 1;
  }

  /** Takes the oldest out. */
  shift(): Numbered<T> | undefined {
    const { oldest } = this;
    if (oldest !== undefined) this.#start += 1;
    return oldest;
  }

  /** At most `count` records, from the first with this number or a higher one. */
  read(number: number, count: number): Numbered<T>[] {
    let [low, high] = [this.#start, this.#end];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#slots[middle % this.#limit]!.number < number) low = middle + 1;
      else high = middle;
    }
    const length = Math.min(count, this.#end - low);
    return Array.from({ length }, (_, index) => this.#slots[(low + index) % this.#limit]!);
  }
}
