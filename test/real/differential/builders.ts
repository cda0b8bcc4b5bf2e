/** Short forms of steps: what a sequence does not say is what most workers say. */
import type { LoadStep, QueryStep, RegisterStep, SaveStep, Step, WrapperSpec } from './step.ts';

export const CLIENT = 'c';
export const POOL_BYTES = 64 * 2 ** 20;
export const BLOCKS = 16;
export const BLOCK_BYTES = 4096;

export const connect = (client = CLIENT): Step => ({ op: 'connect', client });

/** Memory of one layer of one rank, `m:<name>`. */
export const allocate = (memory: string, { device = 0, size = BLOCKS * BLOCK_BYTES } = {}): Step => ({
  op: 'allocate',
  memory,
  device,
  size,
  seed: memory,
});

export interface Layer {
  readonly name: string;
  readonly wrapper: WrapperSpec;
  readonly numBlocks?: number | string;
  readonly bytesPerBlock?: number | string;
  readonly kvStrideBytes?: number | string;
  readonly segments?: number;
}

export const layer = (name: string, memory: string, more: Omit<Layer, 'name' | 'wrapper'> = {}): Layer => ({
  name,
  wrapper: { memory },
  ...more,
});

type RegisterOptions = Partial<Omit<RegisterStep, 'op'>>;

export const register = (instance: string, layers: readonly Layer[], options: RegisterOptions = {}): RegisterStep => ({
  op: 'register',
  client: CLIENT,
  instance,
  namespace: 'n',
  tpRank: 0,
  ppRank: 0,
  tpSize: 1,
  worldSize: 1,
  device: 0,
  layers: layers.map(({ name }) => name),
  wrappers: layers.map(({ wrapper }) => wrapper),
  numBlocks: layers.map(({ numBlocks = BLOCKS }) => numBlocks),
  bytesPerBlock: layers.map(({ bytesPerBlock = BLOCK_BYTES }) => bytesPerBlock),
  kvStrideBytes: layers.map(({ kvStrideBytes = 0 }) => kvStrideBytes),
  segments: layers.map(({ segments = 1 }) => segments),
  backend: 'direct',
  pageFirst: false,
  ...options,
});

/** 32 bytes that stand for this word. */
export const hash = (word: string): string => Buffer.from(word.padEnd(32, '.')).toString('hex');

export const hashes = (words: string): readonly string[] => words.split(' ').filter(Boolean).map(hash);

type SaveOptions = Partial<Omit<SaveStep, 'op' | 'instance' | 'saves' | 'visible'>> & {
  /** Words whose blocks are visible a moment later. Default: those saved. */
  readonly visible?: string;
  readonly group?: number;
};

/** Saves blocks `ids` of each layer under these words. */
export const save = (
  instance: string,
  layers: readonly string[],
  ids: readonly number[],
  words: string,
  { visible = words, group = 0, ...options }: SaveOptions = {},
): SaveStep => ({
  op: 'save',
  client: CLIENT,
  instance,
  tpRank: 0,
  ppRank: 0,
  device: 0,
  saves: layers.map((name) => [name, ids, hashes(words)]),
  ...options,
  ...(visible !== '' && { visible: [{ group, hashes: hashes(visible) }] }),
});

export const query = (
  instance: string,
  words: string,
  options: Partial<Omit<QueryStep, 'op' | 'instance' | 'hashes'>> = {},
): QueryStep => ({ op: 'query', client: CLIENT, instance, hashes: hashes(words), ...options });

export const release = (lease: string): Step => ({ op: 'release', client: CLIENT, lease });

export const load = (
  instance: string,
  groups: LoadStep['groups'],
  loads: LoadStep['loads'],
  options: Partial<Omit<LoadStep, 'op' | 'instance' | 'groups' | 'loads'>> = {},
): LoadStep => ({ op: 'load', client: CLIENT, instance, tpRank: 0, device: 0, groups, loads, ...options });

export const landing = (memories: readonly string[], pieceSize = BLOCK_BYTES) =>
  memories.map((memory) => ({ memory, pieceSize }));

export const unregister = (instance: string): Step => ({ op: 'unregister', client: CLIENT, instance });

export const present = (instance: string, words: string): Step => ({
  op: 'present',
  client: CLIENT,
  instance,
  hashes: hashes(words),
});

export const POOL_METRICS = [
  'pegaflow_pool_used_bytes',
  'pegaflow_pool_capacity_bytes',
  'pegaflow_pool_alloc_failures_total',
  'pegaflow_cache_resident_bytes',
  'pegaflow_cache_block_evictions_total',
  'pegaflow_cache_block_insertions_total',
];
