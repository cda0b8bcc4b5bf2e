export type { SchedulerConnectorEvent, WorkerConnectorEvent } from '../telemetry/event-times.ts';
export type { KvCacheLayer } from './kv-caches.ts';
export type {
  ConnectorMetadata,
  FailedLoad,
  FinishedTransfers,
  LeasedBlocks,
  LoadIntent,
  RefusedSave,
  SaveIntent,
} from './metadata.ts';
export { type NamespaceFactors, namespaceOf } from './namespace.ts';
export type { InstanceOptions, MachineInspector } from './options.ts';
export type { MissReason, Query, QueryOutcome } from './query.ts';
export type { SchedulerStats } from './scheduler/cache-queries.ts';
export type { BlockIdsByGroup } from './scheduler/hits.ts';
export { type Save, SchedulerConnector, type SchedulerConnectorOptions } from './scheduler/scheduler-connector.ts';
export {
  type Shard,
  type ShardLayoutOptions,
  type ShardRank,
  shardLayout,
  shardOfRank,
} from './sharded/shard-layout.ts';
export { ShardedSchedulerConnector, type ShardedSchedulerOptions } from './sharded/sharded-scheduler-connector.ts';
export type { ShardedStatus } from './sharded/sharded-status.ts';
export type {
  ConnectorState,
  ConnectorStatus,
  HeldLimit,
  LastFencing,
  OpenBreaker,
  OutageUnderWay,
  RankProof,
} from './status.ts';
export type { QuarantineCounts } from './transfers/quarantine.ts';
export type { TransferEnd, UnsafeRelease } from './transfers/transfer.ts';
export type { Fencing } from './worker/fencing.ts';
export {
  WorkerConnector,
  type WorkerConnectorOptions,
  type WorkerStats,
  type WorkerStopOutcome,
} from './worker/worker-connector.ts';
