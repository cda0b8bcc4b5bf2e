import { invalidArgument } from '../engine-error.ts';
import type { LayerLayout } from './layout.ts';

/** One layer of one device as it was registered. */
export interface RegisteredLayer {
  readonly groupId: number;
  readonly layout: LayerLayout;
}

export interface RegisteredShape {
  readonly deviceId: number;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly layers: ReadonlyMap<string, RegisteredLayer>;
}

/** Where one layer of one rank lies inside a stored block. */
export interface SlotPlace {
  readonly slot: number;
  readonly slotSizeBytes: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Layers whose blocks are stored together under one hash. */
export interface StorageGroup {
  readonly id: number;
  /** In byte order of the names, which is the order of layer ids. */
  readonly layerNames: readonly string[];
  /** A block is complete when so many slots are filled. */
  readonly slotCount: number;
  place(layerName: string, tpRank: number): SlotPlace;
}

/** What an instance is once all its devices are in. */
export interface Topology {
  readonly groups: readonly StorageGroup[];
  readonly groupOf: ReadonlyMap<string, StorageGroup>;
  readonly layerCount: number;
  /** Distinct layer sets of the workers; how page-first storage is divided. */
  readonly shards: readonly ReadonlySet<string>[];
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

const byNames = (a: readonly string[], b: readonly string[]): number => {
  const at = a.findIndex((name, i) => name !== b[i]);
  const [name, other] = [a[at], b[at]];
  return name === undefined || other === undefined ? a.length - b.length : byBytes(name, other);
};

/** Derives the topology of a complete set of workers. Throws INVALID_ARGUMENT where they do not fit together. */
export const topologyFrom = (
  instanceId: string,
  workers: readonly RegisteredShape[],
  tpSize: number,
  pageFirst: boolean,
): Topology => {
  const layers = unifiedLayers(workers);
  const layerNames = [...layers.keys()].sort(byBytes);
  const groupIds = new Set([...layers.values()].map((layer) => layer.groupId));
  const lastGroupId = Math.max(...groupIds);
  if (groupIds.size !== lastGroupId + 1) {
    throw invalidArgument(
      `storage groups must be dense 0..${lastGroupId + 1}: an unregistered group would never seal its blocks`,
    );
  }
  if (pageFirst && groupIds.size !== 1) {
    throw invalidArgument(`page-first storage does not support multiple storage groups (${groupIds.size} registered)`);
  }
  checkStages(workers);
  checkOwners(instanceId, workers, layerNames, tpSize);
  const shards = pageFirst ? pageShards(workers) : [];
  const groups = Array.from({ length: groupIds.size }, (_, id) => {
    const names = layerNames.filter((name) => layers.get(name)!.groupId === id);
    return pageFirst ? pageFirstGroup(names, layers, shards) : layerFirstGroup(id, names, layers, tpSize);
  });
  const groupOf = new Map(groups.flatMap((group) => group.layerNames.map((name) => [name, group] as const)));
  return { groups, groupOf, layerCount: layerNames.length, shards };
};

const unifiedLayers = (workers: readonly RegisteredShape[]): Map<string, RegisteredLayer> => {
  const layers = new Map<string, RegisteredLayer>();
  for (const worker of workers) {
    for (const [name, layer] of worker.layers) {
      const known = layers.get(name);
      if (known === undefined) layers.set(name, layer);
      else checkSameLayer(name, known, layer, worker.deviceId);
    }
  }
  return layers;
};

const checkSameLayer = (name: string, known: RegisteredLayer, layer: RegisteredLayer, deviceId: number): void => {
  const [expected, found] = [geometryOf(known), geometryOf(layer)];
  if (found !== expected) {
    throw invalidArgument(
      `layer ${name} registered with inconsistent geometry: ${expected} vs ${found} on device ${deviceId}`,
    );
  }
  if (layer.groupId !== known.groupId) {
    throw invalidArgument(
      `layer ${name} registered in storage group ${known.groupId} on one device but group ${layer.groupId} on device ${deviceId}`,
    );
  }
};

/** What has to be the same on every device that has a layer; how many blocks it has need not. */
const geometryOf = ({ layout }: RegisteredLayer): string =>
  `segment_bytes=${layout.segmentSizeBytes} split=${layout.splitStrideBytes > 0} padded_block_bytes=${layout.blockSizeBytes}`;

const checkStages = (workers: readonly RegisteredShape[]): void => {
  const owners = new Map<string, RegisteredShape>();
  for (const worker of workers) {
    for (const name of worker.layers.keys()) {
      const cell = `${worker.tpRank}/${name}`;
      const owner = owners.get(cell);
      if (owner === undefined) owners.set(cell, worker);
      else if (owner.ppRank !== worker.ppRank) {
        throw invalidArgument(
          `layer ${name} claimed by different pipeline stages: device=${owner.deviceId} pp_rank=${owner.ppRank}; ` +
            `device=${worker.deviceId} pp_rank=${worker.ppRank} tp_rank=${worker.tpRank}`,
        );
      }
    }
  }
};

const checkOwners = (
  instanceId: string,
  workers: readonly RegisteredShape[],
  layerNames: readonly string[],
  tpSize: number,
): void => {
  for (const name of layerNames) {
    const ranks = new Set(workers.filter(({ layers }) => layers.has(name)).map(({ tpRank }) => tpRank));
    for (let tpRank = 0; tpRank < tpSize; tpRank++) {
      if (ranks.has(tpRank)) continue;
      throw invalidArgument(
        `instance ${instanceId} has incomplete KV registration: layer ${name} has no owner for tp_rank ${tpRank} ` +
          `after all ${workers.length} workers registered`,
      );
    }
  }
};

/** In the order of their names, so that a shard keeps its slot whoever registers first. */
const pageShards = (workers: readonly RegisteredShape[]): ReadonlySet<string>[] => {
  const shards: ReadonlySet<string>[] = [];
  const sortedNames = workers.map(({ layers }) => [...layers.keys()].sort(byBytes)).sort(byNames);
  for (const names of sortedNames.map((list) => new Set(list))) {
    if (shards.some((shard) => shard.size === names.size && [...names].every((name) => shard.has(name)))) continue;
    for (const name of names) {
      const owner = shards.findIndex((shard) => shard.has(name));
      if (owner < 0) continue;
      throw invalidArgument(
        `page-first layer ${name} claimed by shards ${owner} and ${shards.length}: ` +
          'registered layer sets must be identical (replica) or disjoint (split)',
      );
    }
    shards.push(names);
  }
  return shards;
};

const layerFirstGroup = (
  id: number,
  layerNames: readonly string[],
  layers: ReadonlyMap<string, RegisteredLayer>,
  tpSize: number,
): StorageGroup => {
  const rank = new Map(layerNames.map((name, i) => [name, i]));
  return {
    id,
    layerNames,
    slotCount: layerNames.length * tpSize,
    place: (layerName, tpRank) => {
      const sizeBytes = layers.get(layerName)!.layout.blockSizeBytes;
      return { slot: rank.get(layerName)! * tpSize + tpRank, slotSizeBytes: sizeBytes, offsetBytes: 0, sizeBytes };
    },
  };
};

const pageFirstGroup = (
  layerNames: readonly string[],
  layers: ReadonlyMap<string, RegisteredLayer>,
  shards: readonly ReadonlySet<string>[],
): StorageGroup => {
  const places = new Map<string, SlotPlace>();
  for (const [slot, shard] of shards.entries()) {
    const names = layerNames.filter((name) => shard.has(name));
    const slotSizeBytes = names.reduce((sum, name) => sum + layers.get(name)!.layout.blockSizeBytes, 0);
    let offsetBytes = 0;
    for (const name of names) {
      const sizeBytes = layers.get(name)!.layout.blockSizeBytes;
      places.set(name, { slot, slotSizeBytes, offsetBytes, sizeBytes });
      offsetBytes += sizeBytes;
    }
  }
  return { id: 0, layerNames, slotCount: shards.length, place: (layerName) => places.get(layerName)! };
};
