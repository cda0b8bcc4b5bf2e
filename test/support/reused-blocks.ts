import type { TestRank } from './engine-rank.ts';

/** Content that no request ever has. */
const FOREIGN_SEED = 200;

/**
 * The wrong-byte oracle: whatever is handed back is given to somebody else at once, as vLLM does, and must stay his. A
 * block that comes back too early shows a late copy of its former owner.
 */
export class ReusedBlocks {
  #memory: TestRank;
  #blockIds = new Set<number>();

  constructor(memory: TestRank) {
    this.#memory = memory;
  }

  reuse(blockIds: readonly number[]): void {
    for (const blockId of blockIds) {
      this.#blockIds.add(blockId);
      this.#memory.fill(blockId, FOREIGN_SEED + blockId);
    }
  }

  /** Blocks that were overwritten after they had been handed back. */
  get spoiled(): number[] {
    return [...this.#blockIds].filter((blockId) => !this.#memory.holds(blockId, FOREIGN_SEED + blockId));
  }
}
