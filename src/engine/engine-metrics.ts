import { type Meter, ValueType } from '@opentelemetry/api';

/** The instruments of one engine. Instruments made before a provider is set stay dead, so they are made here. */
export const createEngineMetrics = (meter: Meter) => {
  const counter = (name: string, description: string) =>
    meter.createCounter(`pegaflow_${name}`, { description, valueType: ValueType.INT });
  const level = (name: string, description: string, unit = '') =>
    meter.createUpDownCounter(`pegaflow_${name}`, { description, unit, valueType: ValueType.INT });
  const seconds = (name: string, description: string, boundaries: number[]) =>
    meter.createHistogram(`pegaflow_${name}`, {
      description,
      unit: 's',
      advice: { explicitBucketBoundaries: boundaries },
    });
  const transferBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
  return {
    rpcRequests: counter('rpc_requests', 'RPCs answered, by method and status'),
    rpcDurationSeconds: seconds(
      'rpc_duration',
      'Time to answer an RPC',
      [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2],
    ),
    poolCapacityBytes: level('pool_capacity_bytes', 'Bytes of host memory that blocks may take', 'By'),
    poolUsedBytes: level('pool_used_bytes', 'Bytes of host memory that blocks take', 'By'),
    poolAllocFailures: counter('pool_alloc_failures', 'Allocations refused because the pool was full of pinned blocks'),
    inflightBytes: level('inflight_bytes', 'Bytes of blocks with open slots', 'By'),
    inflightGcCleaned: counter('inflight_gc_cleaned', 'Partial blocks dropped because of their age'),
    prefetchStaleGc: counter('prefetch_stale_gc_total', 'Prefetch tasks dropped because of their age'),
    cacheResidentBytes: level('cache_resident_bytes', 'Bytes of queryable blocks', 'By'),
    cacheResidentBlocks: level('cache_resident_blocks', 'Queryable blocks, by class'),
    cacheHits: counter('cache_block_hits', 'Queried blocks that were there'),
    cacheMisses: counter('cache_block_misses', 'Queried blocks that were not there'),
    cacheInsertions: counter('cache_block_insertions', 'Blocks that became queryable'),
    cacheEvictions: counter('cache_block_evictions', 'Blocks that ceased to be queryable'),
    cacheEvictionsStillReferenced: counter(
      'cache_block_evictions_still_referenced',
      'Evicted blocks whose memory waits for a lease or load',
    ),
    cacheResidenceDurationSeconds: seconds(
      'cache_residence_duration',
      'Life of an evicted block, by reason',
      [1, 10, 60, 300, 1800, 7200],
    ),
    saveBytes: counter('save_bytes', 'Bytes copied from devices'),
    saveDurationSeconds: seconds('save_duration', 'Time of the copy of a Save', transferBuckets),
    loadBytes: counter('load_bytes', 'Bytes copied to devices'),
    loadDurationSeconds: seconds('load_duration', 'Time of the copy of a Load', transferBuckets),
    loadFailures: counter('load_failures', 'Loads that ended in an error after they were accepted'),
  };
};

export type EngineMetrics = ReturnType<typeof createEngineMetrics>;
