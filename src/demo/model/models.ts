/**
 * KV-cache geometry of real models, and how it is cut over tensor-parallel ranks: what decides how many bytes a block
 * has and where they lie.
 */
import { UsageError } from '../../usage-error.ts';

/** Grouped-query attention keeps K and V per head; MLA keeps one compressed entry per token for all heads. */
export type AttentionKind = 'gqa' | 'mla';

export interface ModelPreset {
  readonly name: string;
  readonly attention: AttentionKind;
  readonly layers: number;
  /** KV heads of a layer; 1 for MLA, whose entry is shared by all heads. */
  readonly kvHeads: number;
  /** Elements of one head's K (or V) for one token; for MLA, of the whole entry. */
  readonly headSize: number;
  /** torch dtype of the KV cache. */
  readonly dtype: 'bfloat16';
  readonly dtypeBytes: number;
  /** Tokens of a block. */
  readonly blockSizeTokens: number;
}

/** vLLM's default block size on CUDA (`CacheConfig.DEFAULT_BLOCK_SIZE`, vllm/config/cache.py). */
const BLOCK_SIZE_TOKENS = 16;

const bfloat16 = { dtype: 'bfloat16', dtypeBytes: 2, blockSizeTokens: BLOCK_SIZE_TOKENS } as const;

/**
 * Qwen/Qwen3-0.6B, `config.json` on Hugging Face: `num_hidden_layers` 28, `num_key_value_heads` 8, `head_dim` 128,
 * `torch_dtype` bfloat16.
 */
const qwen3Small: ModelPreset = {
  name: 'qwen3-0.6b',
  attention: 'gqa',
  layers: 28,
  kvHeads: 8,
  headSize: 128,
  ...bfloat16,
};

/**
 * meta-llama/Llama-3.1-8B, `config.json`: `num_hidden_layers` 32, `num_key_value_heads` 8, head size = `hidden_size`
 * 4096 / `num_attention_heads` 32 = 128, `torch_dtype` bfloat16.
 */
const llama31: ModelPreset = {
  name: 'llama-3.1-8b',
  attention: 'gqa',
  layers: 32,
  kvHeads: 8,
  headSize: 128,
  ...bfloat16,
};

/**
 * deepseek-ai/DeepSeek-V3, `config.json`: `num_hidden_layers` 61, `kv_lora_rank` 512 + `qk_rope_head_dim` 64 = 576
 * elements a token, `torch_dtype` bfloat16 (vLLM keeps the MLA cache in it unless `--kv-cache-dtype` says otherwise).
 */
const deepseekV3: ModelPreset = {
  name: 'deepseek-v3',
  attention: 'mla',
  layers: 61,
  kvHeads: 1,
  headSize: 512 + 64,
  ...bfloat16,
};

export const MODEL_PRESETS: readonly ModelPreset[] = [qwen3Small, llama31, deepseekV3];

export function modelPreset(name: string): ModelPreset {
  const preset = MODEL_PRESETS.find((candidate) => candidate.name === name);
  if (preset === undefined) {
    throw new UsageError(`unknown model "${name}"; known: ${MODEL_PRESETS.map(({ name }) => name).join(', ')}`);
  }
  return preset;
}

/** One layer's KV memory on one rank, in the words of a registration. */
export interface KvLayerLayout {
  readonly name: string;
  /** 2: a region of K blocks, then one of V blocks; 1: one region. */
  readonly segments: 1 | 2;
  /** Bytes of one segment of one block. */
  readonly bytesPerBlock: number;
  /** Bytes from the K region to the V region; 0 with one segment. */
  readonly kvStrideBytes: number;
  readonly numBlocks: number;
  /** Bytes of the layer's allocation. */
  readonly sizeBytes: number;
  /** The tensor as torch has it, in elements. */
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

/** What one worker registers. */
export interface RankLayout {
  readonly rank: number;
  /** The rank that decides what a block holds: MLA ranks hold the same, so all are 0 of 1. */
  readonly effectiveTpRank: number;
  readonly effectiveTpSize: number;
  readonly layers: readonly KvLayerLayout[];
}

export interface KvLayout {
  readonly model: ModelPreset;
  readonly numBlocks: number;
  /** Bytes of one block on one rank, over all layers and segments. */
  readonly blockBytesPerRank: number;
  /** Bytes that the server keeps for one block: every distinct rank's share. */
  readonly blockBytesStored: number;
  readonly ranks: readonly RankLayout[];
}

export interface KvLayoutRequest {
  readonly model: ModelPreset;
  readonly ranks: number;
  /** Device memory of all ranks together, in bytes. */
  readonly deviceMemoryBytes: number;
  /** Blocks wanted; fewer are taken where the memory does not hold them. */
  readonly maxBlocks: number;
}

/** Fewer blocks than this cannot hold one request and its neighbour. */
const MIN_BLOCKS = 8;

/** Cuts a model over ranks. A block is never made smaller: where memory is short there are fewer of them. */
export function kvLayout({ model, ranks, deviceMemoryBytes, maxBlocks }: KvLayoutRequest): KvLayout {
  const heads = headsPerRank(model, ranks);
  const segments = model.attention === 'mla' ? 1 : 2;
  const bytesPerBlock = model.blockSizeTokens * heads * model.headSize * model.dtypeBytes;
  const blockBytesPerRank = bytesPerBlock * segments * model.layers;
  const numBlocks = Math.min(maxBlocks, Math.floor(deviceMemoryBytes / (blockBytesPerRank * ranks)));
  if (numBlocks < MIN_BLOCKS) {
    throw new UsageError(
      `${model.name} on ${ranks} ranks needs ${blockBytesPerRank * ranks * MIN_BLOCKS} bytes of device memory for ` +
        `${MIN_BLOCKS} blocks; there are ${deviceMemoryBytes} (--device-memory)`,
    );
  }
  const layers = Array.from({ length: model.layers }, (_, index) =>
    layerLayout(model, `model.layers.${index}.self_attn.attn`, { heads, segments, bytesPerBlock, numBlocks }),
  );
  const shared = model.attention === 'mla';
  return {
    model,
    numBlocks,
    blockBytesPerRank,
    blockBytesStored: shared ? blockBytesPerRank : blockBytesPerRank * ranks,
    ranks: Array.from({ length: ranks }, (_, rank) => ({
      rank,
      effectiveTpRank: shared ? 0 : rank,
      effectiveTpSize: shared ? 1 : ranks,
      layers,
    })),
  };
}

/** Heads are split over the ranks, and replicated once there are more ranks than heads, as vLLM does. */
function headsPerRank(model: ModelPreset, ranks: number): number {
  if (model.attention === 'mla') return model.kvHeads;
  const even = model.kvHeads % ranks === 0 || ranks % model.kvHeads === 0;
  if (!even) {
    throw new UsageError(`${model.name} has ${model.kvHeads} KV heads: they cannot be cut over ${ranks} ranks`);
  }
  return Math.max(1, model.kvHeads / ranks);
}

interface LayerCut {
  readonly heads: number;
  readonly segments: 1 | 2;
  readonly bytesPerBlock: number;
  readonly numBlocks: number;
}

function layerLayout(model: ModelPreset, name: string, cut: LayerCut): KvLayerLayout {
  const { heads, segments, bytesPerBlock, numBlocks } = cut;
  const shape =
    segments === 2
      ? [2, numBlocks, model.blockSizeTokens, heads, model.headSize]
      : [numBlocks, model.blockSizeTokens, model.headSize];
  return {
    name,
    segments,
    bytesPerBlock,
    kvStrideBytes: segments === 2 ? numBlocks * bytesPerBlock : 0,
    numBlocks,
    sizeBytes: numBlocks * bytesPerBlock * segments,
    shape,
    stride: rowMajorStride(shape),
  };
}

function rowMajorStride(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
}
