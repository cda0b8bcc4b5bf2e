export { PEGAFLOW_VERSION } from '../pegaflow-version.ts';
export type { KvCacheLayer } from './kv-caches.ts';
export type {
  ConnectorMetadata,
  FailedLoad,
  FinishedTransfers,
  LoadIntent,
  RefusedSave,
  SaveIntent,
} from './metadata.ts';
export type { InstanceOptions } from './options.ts';
export {
  type MissReason,
  type Query,
  type QueryOutcome,
  type Save,
  SchedulerConnector,
  type SchedulerConnectorOptions,
  type SchedulerStats,
} from './scheduler-connector.ts';
export type { ConnectorState, ConnectorStatus } from './status.ts';
export {
  WorkerConnector,
  type WorkerConnectorOptions,
  type WorkerStats,
  type WorkerStopOutcome,
} from './worker-connector.ts';
