import { keyOf } from './distrust.ts';

interface Failure {
  count: number;
  lastMs: number;
}

/** Blocks that are kept, at most; the oldest are forgotten first. */
const BLOCKS_KEPT = 65_536;
/** A load that fails once may have met an accident. */
const FAILURES_TO_WITHDRAW = 2;

/** Blocks whose load failed. From the second time on they are no hits for a while: it is their own fault. */
export class FailedBlocks {
  #failures = new Map<string, Failure>();
  #withdrawnMs: number;

  constructor(withdrawnMs: number) {
    this.#withdrawnMs = withdrawnMs;
  }

  /** A load of these blocks failed. Returns how many of them have failed before. */
  failed(blockHashes: readonly Uint8Array[], nowMs: number): number {
    let again = 0;
    for (const blockHash of blockHashes) {
      const key = keyOf(blockHash);
      const before = this.#failures.get(key);
      const count = before === undefined || this.#isOver(before, nowMs) ? 1 : before.count + 1;
      if (count >= FAILURES_TO_WITHDRAW) again += 1;
      this.#failures.delete(key);
      this.#failures.set(key, { count, lastMs: nowMs });
    }
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= BLOCKS_KEPT) break;
      this.#failures.delete(key);
    }
    return again;
  }

  /** A load of these blocks was well. */
  loaded(blockHashes: readonly Uint8Array[]): void {
    if (this.#failures.size === 0) return;
    for (const blockHash of blockHashes) this.#failures.delete(keyOf(blockHash));
  }

  forget(): void {
    this.#failures.clear();
  }

  /** How many of these blocks come before the first one that is withdrawn. */
  loadablePrefix(blockHashes: readonly Uint8Array[], nowMs: number): number {
    if (this.#failures.size === 0) return blockHashes.length;
    const first = blockHashes.findIndex((blockHash) => this.#isWithdrawn(keyOf(blockHash), nowMs));
    return first < 0 ? blockHashes.length : first;
  }

  #isWithdrawn(key: string, nowMs: number): boolean {
    const failure = this.#failures.get(key);
    return failure !== undefined && failure.count >= FAILURES_TO_WITHDRAW && !this.#isOver(failure, nowMs);
  }

  #isOver({ lastMs }: Failure, nowMs: number): boolean {
    return nowMs - lastMs >= this.#withdrawnMs;
  }
}
