export type { SchedulerConnectorEvent, WorkerConnectorEvent } from '../telemetry/event-times.ts';
export type { SchedulerStats } from './cache-queries.ts';
export type { Fencing } from './fencing.ts';
export type { BlockIdsByGroup } from './hits.ts';
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
export type { QuarantineCounts } from './quarantine.ts';
export type { MissReason, Query, QueryOutcome } from './query.ts';
export { type Save, SchedulerConnector, type SchedulerConnectorOptions } from './scheduler-connector.ts';
export { placeOf, type Shard, type ShardLayoutOptions, type ShardRank, shardLayout } from './shard-layout.ts';
export { ShardedSchedulerConnector, type ShardedSchedulerOptions } from './sharded-scheduler-connector.ts';
export type { ShardedStatus } from './sharded-status.ts';
export type {
  ConnectorState,
  ConnectorStatus,
  HeldLimit,
  LastFencing,
  OpenBreaker,
  OutageUnderWay,
  RankProof,
} from './status.ts';
export type { TransferEnd, UnsafeRelease } from './transfer.ts';
export {
  WorkerConnector,
  type WorkerConnectorOptions,
  type WorkerStats,
  type WorkerStopOutcome,
} from './worker-connector.ts';
