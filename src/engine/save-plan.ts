import type { SaveRequest } from '../gen/pegaflow/engine_pb.ts';
import { blockKey } from './block-store.ts';
import type { LayerCopy } from './copy-queue.ts';
import { invalidArgument } from './engine-error.ts';
import type { GpuWorker, WorkerLayer } from './gpu-worker.ts';
import type { SealedInstance } from './instances.ts';
import type { SlotPlace } from './topology.ts';

/** A slot that a Save fills, and what is copied into it. */
export interface PlannedSlot {
  readonly key: string;
  readonly slot: number;
  readonly slotCount: number;
  readonly sizeBytes: number;
  readonly pieces: readonly { readonly layer: WorkerLayer; readonly blockId: number; readonly place: SlotPlace }[];
}

/** The copies that fill a slot's host memory. */
export const copiesInto = (slot: PlannedSlot, bytes: Buffer): LayerCopy[] =>
  slot.pieces.map(({ layer, blockId, place }) => ({
    tensor: layer.tensor,
    layout: layer.layout,
    blockId,
    host: bytes.subarray(place.offsetBytes, place.offsetBytes + place.sizeBytes),
  }));

interface ResolvedLayer {
  readonly name: string;
  readonly layer: WorkerLayer;
  readonly place: SlotPlace;
  readonly slotCount: number;
  /** Blocks worth copying. */
  readonly blocks: readonly { readonly blockId: number; readonly key: string }[];
}

/**
 * What a Save has to copy: nothing for blocks that are resident already. Throws INVALID_ARGUMENT where the request
 * does not fit the registration.
 */
export const planSave = (
  instance: SealedInstance,
  worker: GpuWorker,
  request: SaveRequest,
  isResident: (key: string) => boolean,
): PlannedSlot[] => {
  const layers = request.saves.map((save): ResolvedLayer => {
    const group = instance.topology.groupOf.get(save.layerName);
    if (group === undefined) throw invalidArgument(`layer ${save.layerName} is not registered`);
    const layer = worker.layers.get(save.layerName);
    if (layer === undefined) {
      throw invalidArgument(`layer ${save.layerName} is not registered on device ${worker.deviceId}`);
    }
    for (const blockId of save.blockIds) {
      if (blockId < layer.layout.numBlocks) continue;
      throw invalidArgument(
        `block_id ${blockId} out of range for layer ${save.layerName} (${layer.layout.numBlocks} blocks)`,
      );
    }
    const blocks = save.blockIds
      .map((blockId, i) => ({ blockId, key: blockKey(instance.namespace, save.blockHashes[i]!, group.id) }))
      .filter(({ key }) => !isResident(key));
    const place = group.place(save.layerName, worker.tpRank);
    return { name: save.layerName, layer, place, slotCount: group.slotCount, blocks };
  });
  if (layers.every(({ blocks }) => blocks.length === 0)) return [];
  return instance.pageFirst ? planPages(instance, layers) : planSlots(layers);
};

const planSlots = (layers: readonly ResolvedLayer[]): PlannedSlot[] => {
  const slots = new Map<string, PlannedSlot>();
  for (const { layer, place, slotCount, blocks } of layers) {
    for (const { blockId, key } of blocks) {
      const { slot, sizeBytes } = place;
      const name = `${slot}/${key}`;
      if (!slots.has(name)) slots.set(name, { key, slot, slotCount, sizeBytes, pieces: [{ layer, blockId, place }] });
    }
  }
  return [...slots.values()];
};

const planPages = (instance: SealedInstance, layers: readonly ResolvedLayer[]): PlannedSlot[] => {
  const [first] = layers;
  if (first === undefined) return [];
  const split = layers.find(({ layer }) => layer.layout.splitStrideBytes > 0);
  if (split !== undefined) throw invalidArgument(`page-first save of layer ${split.name} does not support split K/V`);
  if (layers.some(({ place }) => place.slot !== first.place.slot)) {
    throw invalidArgument('page-first save must address one shard');
  }
  const blocksOf = ({ blocks }: ResolvedLayer) => blocks.map(({ blockId, key }) => `${blockId}/${key}`).join();
  if (layers.some((layer) => blocksOf(layer) !== blocksOf(first))) {
    throw invalidArgument('page-first save must name the same blocks for all layers');
  }
  const shardSize = instance.topology.shards[first.place.slot]!.size;
  if (new Set(layers.map(({ name }) => name)).size !== shardSize) {
    throw invalidArgument(`page-first save must cover all ${shardSize} layers of the shard`);
  }
  const pages = new Map<string, PlannedSlot>();
  for (const { blockId, key } of first.blocks) {
    const { slot, slotSizeBytes: sizeBytes } = first.place;
    const pieces = layers.map(({ layer, place }) => ({ layer, blockId, place }));
    if (!pages.has(key)) pages.set(key, { key, slot, slotCount: first.slotCount, sizeBytes, pieces });
  }
  return [...pages.values()];
};
