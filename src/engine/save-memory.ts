import type { BlockStore, SlotPiece, StoredSlot } from './block-store.ts';
import type { LayerCopy } from './copy-queue.ts';
import type { PoolRegion } from './host-pool.ts';
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
  const take = (sizeBytes: number, users: number): PoolRegion => {
    const region = blocks.allocate(sizeBytes, users);
    for (let i = 0; i < users; i++) taken.push(region);
    return region;
  };
  try {
    return batches.flatMap((batch) => (isBlockwise ? houseEach(batch, take) : houseTogether(batch, take)));
  } catch (error) {
    blocks.release(taken);
    throw error;
  }
};

type Take = (sizeBytes: number, users: number) => PoolRegion;

const houseTogether = ({ pieceCount, pieceSizeBytes, slots }: PlannedBatch, take: Take): HousedSlot[] => {
  const regions = Array.from({ length: pieceCount }, () => take(slots.length * pieceSizeBytes, slots.length));
  return slots.map((slot, i) => {
    const pieces = regions.map((region): SlotPiece => {
      return { region, addressBytes: region.addressBytes + i * pieceSizeBytes };
    });
    return { ...slot, stored: { pieces, pieceSizeBytes } };
  });
};

const houseEach = ({ pieceCount, pieceSizeBytes, slots }: PlannedBatch, take: Take): HousedSlot[] =>
  slots.map((slot) => {
    const pieces = Array.from({ length: pieceCount }, (): SlotPiece => {
      const region = take(pieceSizeBytes, 1);
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
