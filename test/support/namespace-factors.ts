import type { NamespaceFactors } from '../../src/connector/index.ts';

const llama: NamespaceFactors = {
  model: 'meta-llama/Llama-3.1-8B',
  dtype: 'torch.bfloat16',
  tpSize: 2,
  numKvHeads: 8,
  headSize: 128,
  numHiddenLayers: 32,
  cacheDtype: 'auto',
  isHybridKvCacheManagerEnabled: false,
  hashBlockSize: 16,
  blockSize: 16,
  mambaCacheMode: 'none',
  mambaSsmCacheDtype: 'auto',
};

/** Ten configurations of vLLM that differ in all that a namespace is made of. */
export const namespaceFactors: Readonly<Record<string, NamespaceFactors>> = {
  llama,
  'four stages': { ...llama, tpSize: 1, ppSize: 4 },
  'MLA in one copy': {
    ...llama,
    model: 'deepseek-ai/DeepSeek-V3',
    tpSize: 1,
    numKvHeads: 128,
    headSize: 576,
    numHiddenLayers: 61,
    blockSize: 64,
    hashBlockSize: 64,
  },
  'MLA split by layers, with context parallelism': {
    ...llama,
    model: 'deepseek-ai/DeepSeek-V3',
    tpSize: 4,
    dcpWorldSize: 4,
    pcpWorldSize: 2,
    isMlaLayerSplit: true,
  },
  'fp8 without cross-layer blocks': { ...llama, cacheDtype: 'fp8_e4m3', crossLayerBlocks: false },
  'recurrent state': {
    ...llama,
    model: 'nvidia/Nemotron-H-8B',
    isHybridKvCacheManagerEnabled: true,
    mambaCacheMode: 'align',
    mambaSsmCacheDtype: 'float32',
    hashBlockSize: 528,
    blockSize: 528,
  },
  'sliding window': {
    ...llama,
    model: 'google/gemma-3-27b-it',
    isHybridKvCacheManagerEnabled: true,
    slidingWindowGroupBlockSizes: [16, 16, 32],
  },
  'one group with a sliding window': { ...llama, slidingWindowGroupBlockSizes: [16] },
  'no such settings': {
    ...llama,
    hashBlockSize: null,
    blockSize: null,
    mambaCacheMode: null,
    mambaSsmCacheDtype: null,
  },
  'a path that Python escapes': { ...llama, model: '/models/d\'été "7B"\\ñ\t\u00a0\u200b\u{1f999}\u{e0001}' },
};
