import type { GroupBlocks } from './quarantine.ts';
import type { TransferSubject } from './transfer.ts';

type Kind = TransferSubject['kind'];
type Use = Record<Kind, number>;

/**
 * The blocks that transfers under way touch. A save reads its blocks and a load writes them, so a load shares a block with nobody:
 * what is stored under the hash of the save, or what the other load reads, would be a mixture.
 */
export class BlocksInUse {
  #groups = new Map<number, Map<number, Use>>();

  /** Why such a transfer cannot begin now, or `null`. */
  obstacle(kind: Kind, touched: readonly GroupBlocks[]): string | null {
    for (const { groupId, blockIds } of touched) {
      for (const blockId of blockIds) {
        const use = this.#groups.get(groupId)?.get(blockId);
        if (use === undefined) continue;
        if (use.load > 0) return `block ${blockId} is being loaded into`;
        if (kind === 'load' && use.save > 0) return `block ${blockId} is still being saved`;
      }
    }
    return null;
  }

  /** The function that comes back ends the use; called again, it does nothing. */
  use(kind: Kind, touched: readonly GroupBlocks[]): () => void {
    this.#count(kind, touched, 1);
    let isOver = false;
    return () => {
      if (!isOver) this.#count(kind, touched, -1);
      isOver = true;
    };
  }

  #count(kind: Kind, touched: readonly GroupBlocks[], by: 1 | -1): void {
    for (const { groupId, blockIds } of touched) {
      const group = this.#groups.get(groupId) ?? new Map<number, Use>();
      this.#groups.set(groupId, group);
      for (const blockId of blockIds) {
        const use = group.get(blockId) ?? { load: 0, save: 0 };
        use[kind] += by;
        if (use.load + use.save > 0) group.set(blockId, use);
        else group.delete(blockId);
      }
    }
  }
}
