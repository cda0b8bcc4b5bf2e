/** How many touch each block, by storage group. */
export class BlockCounts {
  #groups = new Map<number, Map<number, number>>();

  add(groupId: number, blockIds: readonly number[]): void {
    const group = this.#groups.get(groupId) ?? new Map<number, number>();
    this.#groups.set(groupId, group);
    for (const blockId of blockIds) group.set(blockId, (group.get(blockId) ?? 0) + 1);
  }

  /** Of blocks that were added; once for each time. */
  remove(groupId: number, blockIds: readonly number[]): void {
    const group = this.#groups.get(groupId);
    for (const blockId of blockIds) {
      const others = (group?.get(blockId) ?? 0) - 1;
      if (others > 0) group?.set(blockId, others);
      else group?.delete(blockId);
    }
  }

  has(groupId: number, blockId: number): boolean {
    return this.#groups.get(groupId)?.has(blockId) ?? false;
  }

  /** Each counted once. */
  blocksIn(groupId: number): number {
    return this.#groups.get(groupId)?.size ?? 0;
  }
}
