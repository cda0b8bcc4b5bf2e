import { publicEndpoint } from '../../redacted.ts';
import { checkRank } from '../options.ts';

/** How one instance is spread over several servers. Sizes count the ranks of all servers together. */
export interface ShardLayoutOptions {
  /** One server per shard, in the order of the ranks they serve. */
  readonly endpoints: readonly string[];
  /** As for one server; with several, each shard's own is made of it. */
  readonly namespace: string;
  readonly worldSize: number;
  /** `worldSize`, or 1 where MLA ranks share one copy: each server then keeps one. With one server any size. */
  readonly tpSize: number;
}

/** One server and its ranks. Sizes count this server's ranks only. */
export interface Shard {
  readonly shard: number;
  readonly endpoint: string;
  readonly namespace: string;
  readonly worldSize: number;
  readonly tpSize: number;
}

/** Where one rank belongs, as options of its `WorkerConnector`: `rank` and `tpRank` count from 0 on its server. */
export interface ShardRank extends Shard {
  readonly rank: number;
  readonly tpRank: number;
}

/**
 * The shards of an instance, each with an equal and contiguous range of ranks. The namespaces and ranges are those of
 * PegaFlow's own connector (`pegaflow.tp_shard_endpoints`), so that both find the same blocks. Throws a RangeError or
 * TypeError that says what to change.
 */
export function shardLayout(options: ShardLayoutOptions): readonly Shard[] {
  const { endpoints, namespace, worldSize, tpSize } = options;
  const count = endpoints.length;
  checkEndpoints(endpoints);
  if (count > 1 && tpSize !== worldSize && tpSize !== 1) {
    throw new RangeError(
      `${count} servers share the ranks of tensor parallelism alone: tpSize must be worldSize (${worldSize}), or 1 with MLA, not ${tpSize}`,
    );
  }
  if (worldSize % count !== 0) {
    throw new RangeError(`worldSize ${worldSize} must be a multiple of the number of endpoints, which is ${count}`);
  }
  return endpoints.map((endpoint, shard) => ({
    shard,
    endpoint,
    namespace: count > 1 ? `${namespace}:tp-shard-${shard}-of-${count}` : namespace,
    worldSize: worldSize / count,
    tpSize: tpSize === worldSize ? tpSize / count : tpSize,
  }));
}

/** The place of the rank that counts from 0 over all servers. Throws a RangeError where there is none. */
export function shardOfRank(layout: readonly Shard[], rank: number): ShardRank {
  const worldSize = layout.reduce((sum, shard) => sum + shard.worldSize, 0);
  checkRank('rank', rank, worldSize);
  const ranksEach = worldSize / layout.length;
  const shard = layout[Math.floor(rank / ranksEach)]!;
  const localRank = rank % ranksEach;
  return { ...shard, rank: localRank, tpRank: localRank % shard.tpSize };
}

function checkEndpoints(endpoints: readonly string[]): void {
  if (endpoints.length === 0) throw new RangeError('endpoints must name at least one server');
  const seen = new Set<string>();
  for (const [shard, endpoint] of endpoints.entries()) {
    if (endpoint === '') throw new TypeError(`endpoints[${shard}] must not be empty`);
    const name = endpoint.replace(/\/$/, '');
    if (seen.has(name)) throw new RangeError(`endpoints must differ: ${publicEndpoint(endpoint)} is named twice`);
    seen.add(name);
  }
}
