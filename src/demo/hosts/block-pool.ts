/** The GPU's block ids, handed out whole requests at a time. */
export class BlockPool {
  readonly #free: number[];
  readonly #waiting: { readonly count: number; readonly resume: () => void }[] = [];

  constructor(numBlocks: number) {
    this.#free = Array.from({ length: numBlocks }, (_, blockId) => numBlocks - 1 - blockId);
  }

  /** `count` block ids, or `null` where there are not as many free. */
  take(count: number): number[] | null {
    return count > this.#free.length ? null : this.#free.splice(-count, count);
  }

  /** Settles when `count` blocks are free, in the order of asking. They may be taken by somebody else meanwhile. */
  whenFree(count: number): Promise<void> {
    return new Promise((resume) => {
      this.#waiting.push({ count, resume });
      this.#resumeWaiting();
    });
  }

  give(blockIds: readonly number[]): void {
    this.#free.push(...blockIds);
    this.#resumeWaiting();
  }

  #resumeWaiting(): void {
    while ((this.#waiting[0]?.count ?? Number.POSITIVE_INFINITY) <= this.#free.length) this.#waiting.shift()?.resume();
  }
}
