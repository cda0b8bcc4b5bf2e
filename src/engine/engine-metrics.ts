import { type Meter, ValueType } from '@opentelemetry/api';

const TRANSFER_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60];
const RESIDENCE_BUCKETS_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400];
const RPC_BUCKETS_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];

/**
 * The instruments of one engine, by the names that the server's `/metrics` shows: its exporter adds the unit to a
 * name, and ours does not. Instruments made before a provider is set stay dead, so they are made here.
 */
export const createEngineMetrics = (meter: Meter, serverVersion: string) => {
  const counter = (name: string, description: string) =>
    meter.createCounter(`pegaflow_${name}`, { description, valueType: ValueType.INT });
  const level = (name: string, description: string, unit = '') =>
    meter.createUpDownCounter(`pegaflow_${name}`, { description, unit, valueType: ValueType.INT });
  const seconds = (name: string, description: string, boundaries: number[]) =>
    meter.createHistogram(`pegaflow_${name}_seconds`, {
      description,
      unit: 's',
      advice: { explicitBucketBoundaries: boundaries },
    });
  return {
    rpcRequests: counter('rpc_requests', 'RPCs answered, by method and status'),
    rpcDurationSeconds: seconds('rpc_duration', 'Time to answer an RPC', RPC_BUCKETS_SECONDS),
    poolCapacityBytes: level('pool_capacity_bytes', 'Bytes of host memory that blocks may take', 'By'),
    poolUsedBytes: level('pool_used_bytes', 'Bytes of host memory that blocks take', 'By'),
    poolAllocFailures: counter('pool_alloc_failures', 'Allocations refused because the pool was full of pinned blocks'),
    inflightBytes: level('inflight_bytes', 'Bytes of blocks with open slots', 'By'),
    inflightGcCleaned: counter('inflight_gc_cleaned', 'Partial blocks dropped because of their age'),
    prefetchStaleGc: counter('prefetch_stale_gc_total', 'Prefetch tasks dropped because of their age'),
    cacheResidentBytes: level('cache_resident_bytes', 'Bytes of queryable blocks', 'By'),
    cacheResidentBlocks: level('cache_resident_blocks', 'Queryable blocks, by class'),
    cacheResidentBytesByClass: hasBytesByClass(serverVersion)
      ? level('cache_resident_bytes_by_class', 'Bytes of queryable blocks, by class', 'By')
      : null,
    cacheHits: counter('cache_block_hits', 'Queried blocks that were there'),
    cacheMisses: counter('cache_block_misses', 'Queried blocks that were not there'),
    cacheTierBlockRequests: counter('cache_tier_block_requests', 'Queried blocks, by the tier that had them'),
    cacheInsertions: counter('cache_block_insertions', 'Blocks that became queryable'),
    cacheEvictions: counter('cache_block_evictions', 'Blocks that ceased to be queryable'),
    cacheEvictionsStillReferenced: counter(
      'cache_block_evictions_still_referenced',
      'Evicted blocks whose memory waits for a lease or load',
    ),
    cacheEvictionReclaimedBytes: counter(
      'cache_eviction_reclaimed_bytes',
      'Bytes of host memory that evictions gave back',
    ),
    cacheResidenceDurationSeconds: seconds(
      'cache_residence_duration',
      'Life of an evicted block, by reason',
      RESIDENCE_BUCKETS_SECONDS,
    ),
    saveBytes: counter('save_bytes', 'Bytes copied from devices'),
    saveDurationSeconds: seconds('save_duration', 'Time of the copy of a Save', TRANSFER_BUCKETS_SECONDS),
    loadBytes: counter('load_bytes', 'Bytes copied to devices'),
    loadDurationSeconds: seconds('load_duration', 'Time of the copy of a Load', TRANSFER_BUCKETS_SECONDS),
    loadFailures: counter('load_failures', 'Loads that ended in an error after they were accepted'),
  };
};

const hasBytesByClass = (serverVersion: string): boolean => {
  const [major = 0, minor = 0] = serverVersion.split('.').map(Number);
  return major > 0 || minor >= 25;
};

export type EngineMetrics = ReturnType<typeof createEngineMetrics>;
