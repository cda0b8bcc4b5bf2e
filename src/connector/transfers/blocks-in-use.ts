import { BlockCounts } from './block-counts.ts';
import type { GroupBlocks } from './quarantine.ts';
import type { TransferSubject } from './transfer.ts';

/**
 * The blocks that transfers under way touch. A save reads its blocks and a load writes them, so a load shares a block with nobody:
 * what is stored under the hash of the save, or what the other load reads, would be a mixture.
 */
export class BlocksInUse {
  #by = { load: new BlockCounts(), save: new BlockCounts() };

  /** Why such a transfer cannot begin now, or `null`. */
  obstacle(kind: TransferSubject['kind'], touched: readonly GroupBlocks[]): string | null {
    for (const { groupId, blockIds } of touched) {
      for (const blockId of blockIds) {
        if (this.#by.load.has(groupId, blockId)) return `block ${blockId} is being loaded into`;
        if (kind === 'load' && this.#by.save.has(groupId, blockId)) return `block ${blockId} is still being saved`;
      }
    }
    return null;
  }

  /** Call the function that comes back once: it ends the use. */
  use(kind: TransferSubject['kind'], touched: readonly GroupBlocks[]): () => void {
    const counts = this.#by[kind];
    for (const { groupId, blockIds } of touched) counts.add(groupId, blockIds);
    return () => {
      for (const { groupId, blockIds } of touched) counts.remove(groupId, blockIds);
    };
  }
}
