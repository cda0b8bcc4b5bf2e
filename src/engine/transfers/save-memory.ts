import type { BlockStore, BufferPurpose, SlotPiece, StoredSlot } from '../cache/block-store.ts';
import type { PoolRegion } from '../cache/host-pool.ts';
import type { LayerCopy } from './copy-queue.ts';
import type { PlannedBatch, PlannedSlot } from './save-plan.ts';

/** A slot of a Save with the memory that it will keep. */
export interface HousedSlot extends PlannedSlot {
  readonly stored: StoredSlot;
}

/**
 * Takes the memory of a Save: one allocation for each batch, K and V apart, or with `isBlockwise` one for each block. All
 * of it, or INTERNAL.
 */
export const houseSlots = (
  blocks: BlockStore,
  batches: readonly PlannedBatch[],
  isBlockwise: boolean,
): HousedSlot[] => {
  const taken: PoolRegion[] = [];
  const take: Take = (sizeBytes, users, purpose) => {
    const region = blocks.allocate(sizeBytes, users, purpose);
    for (let i = 0; i < users; i++) taken.push(region);
    return region;
  };
  try {
    return blockByBlock(batches.map((batch) => (isBlockwise ? houseEach(batch, take) : houseTogether(batch, take))));
  } catch (error) {
    blocks.release(taken);
    throw error;
  }
};

type Take = (sizeBytes: number, users: number, purpose: BufferPurpose) => PoolRegion;

/** All slots of the first block, then those of the next. */
const blockByBlock = (batches: readonly (readonly HousedSlot[])[]): HousedSlot[] => {
  const blockCount = Math.max(0, ...batches.map(({ length }) => length));
  return Array.from({ length: blockCount }, (_, block) => batches.flatMap((slots) => slots[block] ?? [])).flat();
};

const houseTogether = ({ pieces: purposes, pieceSizeBytes, slots }: PlannedBatch, take: Take): HousedSlot[] => {
  const sizeBytes = slots.length * pieceSizeBytes;
  const regions = purposes.map((purpose) => take(sizeBytes, slots.length, purpose));
  return slots.map((slot, i) => {
    const pieces = regions.map((region): SlotPiece => {
      return { region, addressBytes: region.addressBytes + i * pieceSizeBytes };
    });
    return { ...slot, stored: { pieces, pieceSizeBytes } };
  });
};

const houseEach = ({ pieces: purposes, pieceSizeBytes, slots }: PlannedBatch, take: Take): HousedSlot[] =>
  slots.map((slot) => {
    const pieces = purposes.map((purpose): SlotPiece => {
      const region = take(pieceSizeBytes, 1, purpose);
      return { region, addressBytes: region.addressBytes };
    });
    return { ...slot, stored: { pieces, pieceSizeBytes } };
  });

/** The copies that fill a slot's memory. */
export const copiesInto = (blocks: BlockStore, { parts, stored }: HousedSlot): LayerCopy[] =>
  parts.map(({ layer, blockId, place }) => ({
    tensor: layer.tensor,
    layout: layer.layout,
    blockId,
    host: stored.pieces.map(({ addressBytes }) =>
      blocks.view(addressBytes + place.offsetBytes, place.sizeBytes / stored.pieces.length),
    ),
  }));
