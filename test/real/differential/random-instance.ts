import type { Random } from '../../simulation/random.ts';
import type { RegisterStep, Step } from './step.ts';

const NUM_BLOCKS = 8;

export interface RandomRank {
  readonly tpRank: number;
  readonly ppRank: number;
  readonly device: number;
  readonly layers: readonly string[];
  readonly memories: readonly string[];
  readonly register: RegisterStep;
  /** What its registration needs. */
  readonly setup: readonly Step[];
}

export interface RandomInstance {
  readonly name: string;
  readonly namespace: string;
  readonly tpSize: number;
  readonly worldSize: number;
  readonly pageFirst: boolean;
  /** Layers of each storage group, in one order. */
  readonly groups: readonly (readonly string[])[];
  readonly bytesPerSegment: number;
  readonly numBlocks: number;
  readonly ranks: readonly RandomRank[];
}

type Layout = 'contiguous' | 'pairs' | 'split';

/** An instance of some topology and layout, and what each of its ranks registers. */
export const randomInstance = (random: Random, name: string, mayUseOffsets: boolean): RandomInstance => {
  const tpSize = random.pick([1, 1, 2, 2, 3]);
  const ppSize = random.pick([1, 1, 1, 2]);
  const worldSize = tpSize * ppSize;
  const layout: Layout = random.pick(['contiguous', 'contiguous', 'pairs', 'split']);
  const pageFirst = layout !== 'split' && random.chance(0.2);
  const perStage = random.int(1, 3);
  const layersOf = (ppRank: number) => Array.from({ length: perStage }, (_, layer) => `l${ppRank * perStage + layer}`);
  const groupCount = pageFirst || ppSize > 1 ? 1 : random.int(1, Math.min(2, perStage));
  const groupOf = (layer: string) => Number(layer.slice(1)) % groupCount;
  const bytesPerSegment = random.pick([512, 1024, 1024, 4096, 700]);
  const sharesAllocation = mayUseOffsets && random.chance(0.3);
  const namespace = random.pick(['n0', 'n0', 'n1']);
  const segments = layout === 'contiguous' ? 1 : 2;
  const layerSize = NUM_BLOCKS * bytesPerSegment * segments;
  const ranks = Array.from({ length: worldSize }, (_, index): RandomRank => {
    const [tpRank, ppRank] = [index % tpSize, Math.floor(index / tpSize)];
    const layers = layersOf(ppRank);
    const owned = layers.map((layer) => `${name}.r${index}.${layer}`);
    const shared = `${name}.r${index}`;
    const allocate = (memory: string, size: number): Step => ({
      op: 'allocate',
      memory,
      device: index,
      size,
      seed: memory,
    });
    return {
      tpRank,
      ppRank,
      device: index,
      layers,
      memories: sharesAllocation ? [shared] : owned,
      setup: sharesAllocation
        ? [allocate(shared, layerSize * layers.length)]
        : owned.map((memory) => allocate(memory, layerSize)),
      register: {
        op: 'register',
        client: 'worker',
        instance: name,
        namespace,
        tpRank,
        ppRank,
        tpSize,
        worldSize,
        device: index,
        layers,
        wrappers: layers.map((_, layer) =>
          sharesAllocation ? { memory: shared, offset: layer * layerSize } : { memory: owned[layer]! },
        ),
        numBlocks: layers.map(() => NUM_BLOCKS),
        bytesPerBlock: layers.map(() => bytesPerSegment),
        kvStrideBytes: layers.map(() =>
          layout === 'pairs' ? bytesPerSegment : layout === 'split' ? NUM_BLOCKS * bytesPerSegment : 0,
        ),
        segments: layers.map(() => segments),
        backend: 'direct',
        pageFirst,
        ...(groupCount > 1 && { groups: layers.map(groupOf) }),
      },
    };
  });
  const all = [...new Set(ranks.flatMap(({ layers }) => layers))];
  const groups = Array.from({ length: groupCount }, (_, group) => all.filter((layer) => groupOf(layer) === group));
  return { name, namespace, tpSize, worldSize, pageFirst, groups, bytesPerSegment, numBlocks: NUM_BLOCKS, ranks };
};
