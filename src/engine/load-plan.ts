import type { LeaseLoad, LoadRequest } from '../gen/pegaflow/engine_pb.ts';
import type { StoredBlock } from './block-store.ts';
import type { LayerCopy } from './copy-queue.ts';
import { invalidArgument } from './engine-error.ts';
import type { GpuWorker } from './gpu-worker.ts';
import type { SealedInstance } from './instances.ts';
import type { StorageGroup } from './topology.ts';

/** One group of a Load: its layers in one storage group, or `null` where it has no layers at all. */
export interface LoadGroupPlan {
  readonly layerNames: readonly string[];
  readonly storage: StorageGroup | null;
}

/** Checks the groups of a Load before any lease is touched. Throws INVALID_ARGUMENT. */
export const planGroups = (instance: SealedInstance, request: LoadRequest): LoadGroupPlan[] => {
  if (request.groups.length === 0) throw invalidArgument('load must contain at least one layer group');
  const seen = new Set<string>();
  return request.groups.map(({ layerNames }) => {
    let storage: StorageGroup | null = null;
    for (const name of layerNames) {
      if (seen.has(name)) throw invalidArgument(`layer names must be unique over load groups, got ${name} twice`);
      seen.add(name);
      const group = instance.topology.groupOf.get(name);
      if (group === undefined) throw invalidArgument(`layer ${name} is not registered`);
      if (storage !== null && storage !== group) throw invalidArgument('load group mixes storage groups');
      storage = group;
    }
    return { layerNames, storage };
  });
};

/** The copies of one lease. Throws INVALID_ARGUMENT where targets, lease and registration do not fit together. */
export const planLease = (
  worker: GpuWorker,
  groups: readonly LoadGroupPlan[],
  load: LeaseLoad,
  blocks: readonly StoredBlock[],
): LayerCopy[] => {
  if (load.blockIdsByGroup.length !== groups.length) {
    throw invalidArgument(
      `load group count ${load.blockIdsByGroup.length} does not match ${groups.length} layer groups`,
    );
  }
  for (const [g, { targets }] of load.blockIdsByGroup.entries()) {
    if (targets.length === blocks.length) continue;
    throw invalidArgument(
      `query lease block count ${blocks.length} does not match destination block count ${targets.length} for group ${g}`,
    );
  }
  const copies: LayerCopy[] = [];
  for (const [g, group] of groups.entries()) {
    for (const [i, { target }] of load.blockIdsByGroup[g]!.targets.entries()) {
      if (target.case === 'blockId') copies.push(...blockCopies(worker, group, blocks[i]!, target.value));
    }
  }
  return copies;
};

const blockCopies = (worker: GpuWorker, group: LoadGroupPlan, block: StoredBlock, blockId: number): LayerCopy[] => {
  const { layerNames, storage } = group;
  if (storage === null) return [];
  const incompatible = () => invalidArgument('namespace is shared by incompatible KV layouts');
  if (block.slots.length !== storage.slotCount) throw incompatible();
  return layerNames.map((name) => {
    const layer = worker.layers.get(name);
    if (layer === undefined) throw invalidArgument(`layer ${name} is not registered on device ${worker.deviceId}`);
    const place = storage.place(name, worker.tpRank);
    const slot = block.slots[place.slot];
    if (slot === undefined) throw invalidArgument(`missing slot ${place.slot} for layer ${name}`);
    if (slot.length !== place.slotSizeBytes) throw incompatible();
    const host = slot.subarray(place.offsetBytes, place.offsetBytes + place.sizeBytes);
    return { tensor: layer.tensor, layout: layer.layout, blockId, host };
  });
};
