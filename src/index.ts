/** The connector, the embedded engine and what their users need; the statecharts are in `pegaflow-lifecycle/machines`. */
export type {
  Announcement,
  Budgets,
  Epoch,
  Fault,
  FaultKind,
  Proof,
  RankOutcome,
  RankReport,
  ReportedDistrust,
  ServerVersions,
  StopOutcome,
} from '../machines/index.ts';
export { budgetTable, testedServerVersions } from '../machines/index.ts';
export {
  type BlockIdsByGroup,
  type ConnectorMetadata,
  type ConnectorState,
  type ConnectorStatus,
  type FailedLoad,
  type Fencing,
  type FinishedTransfers,
  type HeldLimit,
  type InstanceOptions,
  type KvCacheLayer,
  type LastFencing,
  type LeasedBlocks,
  type LoadIntent,
  type MachineInspector,
  type MissReason,
  type NamespaceFactors,
  namespaceOf,
  type OpenBreaker,
  type OutageUnderWay,
  type QuarantineCounts,
  type Query,
  type QueryOutcome,
  type RankProof,
  type RefusedSave,
  type Save,
  type SaveIntent,
  SchedulerConnector,
  type SchedulerConnectorEvent,
  type SchedulerConnectorOptions,
  type SchedulerStats,
  type Shard,
  ShardedSchedulerConnector,
  type ShardedSchedulerOptions,
  type ShardedStatus,
  type ShardLayoutOptions,
  type ShardRank,
  shardLayout,
  shardOfRank,
  type TransferEnd,
  type UnsafeRelease,
  WorkerConnector,
  type WorkerConnectorEvent,
  type WorkerConnectorOptions,
  type WorkerStats,
  type WorkerStopOutcome,
} from './connector/index.ts';
export { ConnectorFeed, type ConnectorFeedOptions } from './feed/connector-feed.ts';
export type { FeedServer, FeedServerOptions } from './feed/http/server.ts';
export type { FeedRecord } from './feed/record.ts';
export type { FeedStatus } from './feed/source.ts';
export { encodeIpcWrapper, type IpcWrapper } from './registration/ipc-wrapper.ts';
export { type CudaTensor, torchWrapperOf } from './registration/torch-handle.ts';
export type { TelemetryOptions } from './telemetry/connector-telemetry.ts';
export type { Logger } from './telemetry/logs/logger.ts';
export { type Transition, transitionLog } from './telemetry/logs/transition-log.ts';
