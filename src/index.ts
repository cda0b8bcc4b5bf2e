/** The connector, the embedded engine and what their users need; the statecharts are in `pegaflow-lifecycle/machines`. */
export type {
  Announcement,
  Budgets,
  Epoch,
  Fault,
  FaultKind,
  RankOutcome,
  RankReport,
  StopOutcome,
} from '../machines/index.ts';
export { budgetTable } from '../machines/index.ts';
export {
  type ConnectorMetadata,
  type ConnectorState,
  type ConnectorStatus,
  type FailedLoad,
  type FinishedTransfers,
  type InstanceOptions,
  type KvCacheLayer,
  type LoadIntent,
  type MissReason,
  PEGAFLOW_VERSION,
  type Query,
  type QueryOutcome,
  type RefusedSave,
  type Save,
  type SaveIntent,
  SchedulerConnector,
  type SchedulerConnectorOptions,
  type SchedulerStats,
  WorkerConnector,
  type WorkerConnectorOptions,
  type WorkerStats,
  type WorkerStopOutcome,
} from './connector/index.ts';
export { encodeIpcWrapper, type IpcWrapper } from './registration/ipc-wrapper.ts';
export { type Transition, transitionLog } from './telemetry/transition-log.ts';
