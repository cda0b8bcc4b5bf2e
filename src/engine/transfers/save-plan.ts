import type { SaveRequest } from '../../gen/pegaflow/engine_pb.ts';
import { type BufferPurpose, blockKey } from '../cache/block-store.ts';
import { invalidArgument } from '../engine-error.ts';
import type { GpuWorker, WorkerLayer } from '../registration/gpu-worker.ts';
import type { SealedInstance } from '../registration/instances.ts';
import type { SlotPlace } from '../registration/topology.ts';

/** What is copied into a slot: one block of one layer. */
export interface PlannedPart {
  readonly layer: WorkerLayer;
  readonly blockId: number;
  readonly place: SlotPlace;
}

/** A slot that a Save fills, and what is copied into it: a layer, or all layers of a page. */
export interface PlannedSlot {
  readonly key: string;
  readonly slot: number;
  readonly slotCount: number;
  readonly parts: readonly PlannedPart[];
}

/** The slots that a Save fills for one layer, or all its pages. Their memory is one piece, or two for K and V apart. */
export interface PlannedBatch {
  /** What each piece is. */
  readonly pieces: readonly BufferPurpose[];
  readonly pieceSizeBytes: number;
  readonly slots: readonly PlannedSlot[];
}

interface ResolvedLayer {
  readonly name: string;
  readonly layer: WorkerLayer;
  readonly place: SlotPlace;
  readonly slotCount: number;
  /** Blocks worth copying. */
  readonly blocks: readonly { readonly blockId: number; readonly key: string }[];
}

/**
 * What a Save has to copy, in the order of the request: nothing for blocks that are resident already, and a block twice
 * that is named twice. Throws INVALID_ARGUMENT where the request does not fit the registration.
 */
export const planSave = (
  instance: SealedInstance,
  worker: GpuWorker,
  request: SaveRequest,
  isResident: (key: string) => boolean,
): PlannedBatch[] => {
  const layers = request.saves
    .map((save): ResolvedLayer => {
      const group = instance.topology.groupOf.get(save.layerName);
      if (group === undefined) throw invalidArgument(`layer ${save.layerName} is not registered`);
      const layer = worker.layers.get(save.layerName);
      if (layer === undefined) throw invalidArgument(`layer ${save.layerName} not registered on device`);
      const { numBlocks } = layer.layout;
      const outside = save.blockIds.find((blockId) => blockId >= numBlocks);
      if (outside !== undefined) {
        throw invalidArgument(`block_id ${outside} out of range (num_blocks=${numBlocks}) for layer ${save.layerName}`);
      }
      const blocks = save.blockIds
        .map((blockId, i) => ({ blockId, key: blockKey(instance.namespace, save.blockHashes[i]!, group.id) }))
        .filter(({ key }) => !isResident(key));
      const place = group.place(save.layerName, worker.tpRank);
      return { name: save.layerName, layer, place, slotCount: group.slotCount, blocks };
    })
    .filter(({ blocks }) => blocks.length > 0);
  const [first, ...others] = layers;
  if (first === undefined) return [];
  return instance.pageFirst ? [planPages(instance, [first, ...others])] : layers.map(planSlots);
};

const planSlots = ({ layer, place, slotCount, blocks }: ResolvedLayer): PlannedBatch => {
  const { pieceSizeBytes, splitStrideBytes } = layer.layout;
  const slots = blocks.map(({ blockId, key }) => ({
    key,
    slot: place.slot,
    slotCount,
    parts: [{ layer, blockId, place }],
  }));
  return {
    pieces: splitStrideBytes > 0 ? ['K segment buffer', 'V segment buffer'] : ['block buffer'],
    pieceSizeBytes,
    slots,
  };
};

const planPages = (instance: SealedInstance, layers: readonly [ResolvedLayer, ...ResolvedLayer[]]): PlannedBatch => {
  const [first] = layers;
  const { slot, slotSizeBytes } = first.place;
  const split = layers.find(({ layer }) => layer.layout.splitStrideBytes > 0);
  if (split !== undefined) throw invalidArgument(`page-first save does not support split K/V (layer ${split.name})`);
  if (layers.some(({ place }) => place.slot !== slot)) {
    throw invalidArgument('page-first save must address one shard');
  }
  const blocksOf = ({ blocks }: ResolvedLayer) => blocks.map(({ blockId, key }) => `${blockId}/${key}`).join();
  if (layers.some((layer) => blocksOf(layer) !== blocksOf(first))) {
    throw invalidArgument('page-first save requires the same block set across all layers');
  }
  const shardSize = instance.topology.shards[slot]!.size;
  const distinct = new Set(layers.map(({ name }) => name)).size;
  if (distinct !== shardSize) {
    throw invalidArgument(
      `page-first save must cover all ${shardSize} layers of shard ${slot}, got ${distinct} distinct ` +
        "(one worker must write a shard's entire page)",
    );
  }
  const slots = first.blocks.map(({ blockId, key }) => ({
    key,
    slot,
    slotCount: first.slotCount,
    parts: layers.map(({ layer, place }) => ({ layer, blockId, place })),
  }));
  return { pieces: ['page'], pieceSizeBytes: slotSizeBytes, slots };
};
