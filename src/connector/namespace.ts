import { createHash } from 'node:crypto';
import { newestTestedVersion } from '../../machines/index.ts';

/** What shapes the bytes of a block, in vLLM's terms. Where vLLM has no such setting, `null`. */
export interface NamespaceFactors {
  /** `model_config.model`: as it was given to vLLM, a path included. */
  readonly model: string;
  /** `model_config.dtype` as torch prints it: `torch.bfloat16`. */
  readonly dtype: string;
  /** As registered: 1, or the size of decode context parallelism, where MLA ranks share one copy. */
  readonly tpSize: number;
  /** Default 1. */
  readonly ppSize?: number;
  /** `get_total_num_kv_heads()`. */
  readonly numKvHeads: number;
  /** `get_head_size()`. */
  readonly headSize: number;
  /** `get_total_num_hidden_layers()`. */
  readonly numHiddenLayers: number;
  /** `cache_config.cache_dtype`, such as `auto`. */
  readonly cacheDtype: string;
  /** `not scheduler_config.disable_hybrid_kv_cache_manager`. */
  readonly isHybridKvCacheManagerEnabled: boolean;
  /** `decode_context_parallel_size`. Default 1. */
  readonly dcpWorldSize?: number;
  /** `prefill_context_parallel_size`. Default 1. */
  readonly pcpWorldSize?: number;
  /** `PEGAFLOW_CROSS_LAYER_BLOCKS` of the Python connector's environment. Default true, as there. */
  readonly crossLayerBlocks?: boolean;
  /** `additional_config["mla_layer_split_kv_cache"]`. Default false. */
  readonly isMlaLayerSplit?: boolean;
  /** Tokens of a hash, as vLLM resolves them. */
  readonly hashBlockSize: number | null;
  /** `cache_config.block_size`. */
  readonly blockSize: number | null;
  /** `cache_config.mamba_cache_mode`. */
  readonly mambaCacheMode: string | null;
  /** `cache_config.mamba_ssm_cache_dtype`. */
  readonly mambaSsmCacheDtype: string | null;
  /** Block size of every cache group, where one of them has a sliding window. Default: none has. */
  readonly slidingWindowGroupBlockSizes?: readonly number[];
}

type PythonValue = string | number | boolean | null | readonly number[];

/**
 * The namespace that PegaFlow's Python connector of this version gives to vLLM's blocks, so that a host and Python connectors
 * share blocks on purpose. Each shard of several servers has one of its own, which `shardLayout` makes of it.
 */
export function namespaceOf(factors: NamespaceFactors, version: string = newestTestedVersion): string {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isSince = (since: number) => major > 0 || minor >= since;
  const named: Record<string, PythonValue> = {
    model: factors.model,
    dtype: factors.dtype,
    tp_size: factors.tpSize,
    pp_size: factors.ppSize ?? 1,
    num_kv_heads: factors.numKvHeads,
    head_size: factors.headSize,
    num_hidden_layers: factors.numHiddenLayers,
    cache_dtype: factors.cacheDtype,
    is_hma_enabled: factors.isHybridKvCacheManagerEnabled,
    dcp_world_size: factors.dcpWorldSize ?? 1,
    pcp_world_size: factors.pcpWorldSize ?? 1,
    cross_layer_blocks: factors.crossLayerBlocks ?? true,
    mla_layer_split_kv_cache: factors.isMlaLayerSplit ?? false,
  };
  if (isSince(24)) {
    named['hash_block_size'] = factors.hashBlockSize;
    named['block_size'] = factors.blockSize;
    named['mamba_cache_mode'] = factors.mambaCacheMode;
    named['mamba_ssm_cache_dtype'] = factors.mambaSsmCacheDtype;
  }
  const groupBlockSizes = factors.slidingWindowGroupBlockSizes;
  if (isSince(25) && groupBlockSizes !== undefined) named['cache_group_block_sizes'] = groupBlockSizes;
  const items = Object.keys(named)
    .sort()
    .map((name) => `(${pythonText(name)}, ${pythonLiteral(named[name]!)})`);
  return createHash('sha256')
    .update(`[${items.join(', ')}]`)
    .digest('hex')
    .slice(0, NAMESPACE_LETTERS);
}

const NAMESPACE_LETTERS = 8;

/** As Python's `repr` writes it. */
function pythonLiteral(value: PythonValue): string {
  if (value === null) return 'None';
  if (typeof value === 'string') return pythonText(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return pythonInteger(value);
  return `(${value.map(pythonInteger).join(', ')}${value.length === 1 ? ',' : ''})`;
}

function pythonInteger(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a whole number`);
  return String(value);
}

function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const letters = Array.from(text, (letter) => {
    if (letter === quote || letter === '\\') return `\\${letter}`;
    return letter === ' ' || !/[\p{C}\p{Z}]/u.test(letter) ? letter : escaped(letter);
  });
  return `${quote}${letters.join('')}${quote}`;
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(letter: string): string {
  const code = letter.codePointAt(0)!;
  const hex = (digits: number) => code.toString(16).padStart(digits, '0');
  if (code < 0x100) return NAMED_ESCAPES[letter] ?? `\\x${hex(2)}`;
  return code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
}
