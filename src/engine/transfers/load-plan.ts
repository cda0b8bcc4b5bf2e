import type { LeaseLoad, LoadRequest } from '../../gen/pegaflow/engine_pb.ts';
import { type BlockStore, type StoredBlock, type StoredSlot, slotSizeBytes } from '../cache/block-store.ts';
import { invalidArgument } from '../engine-error.ts';
import type { GpuWorker, WorkerLayer } from '../registration/gpu-worker.ts';
import type { SealedInstance } from '../registration/instances.ts';
import type { SlotPlace, StorageGroup } from '../registration/topology.ts';
import type { LayerCopy } from './copy-queue.ts';

/** One group of a Load: its layers in one storage group, or `null` where it has no layers at all. */
export interface LoadGroupPlan {
  readonly layerNames: readonly string[];
  readonly storage: StorageGroup | null;
}

/** A block of a lease and where it goes: the same id in every layer of its group. */
export interface PlannedBlock {
  readonly group: number;
  readonly block: StoredBlock;
  readonly blockId: number;
}

/** A layer that a Load writes to, and the slot that it reads. */
interface LayerSource {
  readonly name: string;
  readonly layer: WorkerLayer;
  readonly place: SlotPlace;
}

const SHARED_NAMESPACE = 'namespace is shared by incompatible KV layouts';

/** Checks the groups of a Load before any lease is touched. Throws INVALID_ARGUMENT. */
export const planGroups = (instance: SealedInstance, request: LoadRequest): LoadGroupPlan[] => {
  if (request.groups.length === 0) throw invalidArgument('load requires at least one layer group');
  const names = request.groups.flatMap(({ layerNames }) => layerNames);
  if (new Set(names).size !== names.length) throw invalidArgument('load layer names must be unique across groups');
  return request.groups.map(({ layerNames }) => {
    let storage: StorageGroup | null = null;
    for (const name of layerNames) {
      const group = instance.topology.groupOf.get(name);
      if (group === undefined) throw invalidArgument(`layer ${name} is not registered`);
      if (storage !== null && storage !== group) {
        throw invalidArgument(`load group mixes storage groups ${storage.id} and ${group.id} (layer ${name})`);
      }
      storage = group;
    }
    return { layerNames, storage };
  });
};

/** Where the blocks of one lease go. Throws INVALID_ARGUMENT where targets, lease and instance do not fit together. */
export const planLease = (
  instance: SealedInstance,
  groups: readonly LoadGroupPlan[],
  load: LeaseLoad,
  blocks: readonly StoredBlock[],
): PlannedBlock[] => {
  if (load.blockIdsByGroup.length !== groups.length) {
    throw invalidArgument(
      `load group count ${load.blockIdsByGroup.length} does not match layer group count ${groups.length}`,
    );
  }
  for (const [g, { targets }] of load.blockIdsByGroup.entries()) {
    if (targets.length === blocks.length) continue;
    throw invalidArgument(
      `query lease block count ${blocks.length} does not match destination block count ${targets.length} for group ${g}`,
    );
  }
  return groups.flatMap(({ storage }, group) =>
    load.blockIdsByGroup[group]!.targets.flatMap(({ target }, i) => {
      const block = blocks[i]!;
      if (storage === null || target.case !== 'blockId') return [];
      if (block.slots.length !== storage.slotCount) {
        throw invalidArgument(
          `stored block has ${block.slots.length} slots but storage group ${storage.id} of instance ${instance.id} ` +
            `expects ${storage.slotCount}: ${SHARED_NAMESPACE}`,
        );
      }
      return [{ group, block, blockId: target.value }];
    }),
  );
};

export interface CopyPlanContext {
  readonly instance: SealedInstance;
  readonly worker: GpuWorker;
  /** The request's, which need not be the worker's: it chooses the slot. */
  readonly tpRank: number;
  readonly blocks: BlockStore;
  /** Whether blocks are read in the size of their destination, whatever they were stored in. */
  readonly isSizeUnchecked: boolean;
}

/** The copies of a Load. Throws INVALID_ARGUMENT also where there is nothing to copy. */
export const planCopies = (
  context: CopyPlanContext,
  groups: readonly LoadGroupPlan[],
  planned: readonly PlannedBlock[],
): LayerCopy[] => {
  const sources = groups.map((group) => layerSources(context, group));
  return planned.flatMap(({ group, block, blockId }) =>
    sources[group]!.map((source): LayerCopy => {
      const { layer, place } = source;
      const slot = block.slots[place.slot];
      if (slot === undefined) throw invalidArgument(`missing slot ${place.slot} for layer ${source.name}`);
      if (!context.isSizeUnchecked) checkSize(context.instance, source, slot);
      return { tensor: layer.tensor, layout: layer.layout, blockId, host: hostViews(context.blocks, source, slot) };
    }),
  );
};

const layerSources = (
  { instance, worker, tpRank }: CopyPlanContext,
  { layerNames, storage }: LoadGroupPlan,
): LayerSource[] =>
  layerNames.map((name) => {
    const layer = worker.layers.get(name);
    if (layer === undefined) throw invalidArgument(`layer ${name} not registered on device ${worker.deviceId}`);
    if (tpRank >= instance.tpSize) {
      throw invalidArgument(`tp_rank ${tpRank} out of range (tp_size ${instance.tpSize})`);
    }
    return { name, layer, place: storage!.place(name, tpRank) };
  });

/** A slot that holds K and V apart can only be read so; one in one piece can be read in either way. */
const checkSize = (instance: SealedInstance, { name, layer, place }: LayerSource, slot: StoredSlot): void => {
  const isSameSize = slotSizeBytes(slot) === place.slotSizeBytes;
  if (isSameSize && (slot.pieces.length === 1 || layer.layout.splitStrideBytes > 0)) return;
  const stored = slot.pieces.length === 1 ? 'in one piece' : 'as K and V';
  throw invalidArgument(
    `stored block has ${slotSizeBytes(slot)} bytes ${stored} but layer ${name} of instance ${instance.id} ` +
      `expects ${place.slotSizeBytes}: ${SHARED_NAMESPACE}`,
  );
};

const hostViews = (blocks: BlockStore, { layer, place }: LayerSource, { pieces }: StoredSlot): Buffer[] => {
  const { pieceSizeBytes, splitStrideBytes } = layer.layout;
  const first = pieces[0]!.addressBytes + place.offsetBytes;
  if (splitStrideBytes === 0) return [blocks.view(first, place.sizeBytes)];
  const second = pieces[1]?.addressBytes ?? first + pieceSizeBytes;
  return [blocks.view(first, pieceSizeBytes), blocks.view(second, pieceSizeBytes)];
};
