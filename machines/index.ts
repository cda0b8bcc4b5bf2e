export { type Draw, rankBackoffs, schedulerBackoffs } from './backoff.ts';
export { type BreakerEvent, breakerMachine } from './breaker.ts';
export { type Budgets, budgetsFrom, budgetTable } from './budgets.ts';
export { dialEndedBy, isDialing } from './events/dial-outcome.ts';
export type {
  BreakerName,
  DialOutcome,
  FencingReason,
  PassedOnByRank,
  PassedOnEvent,
  RankRegistration,
  RegistrationOutcome,
  SchedulerDomainEvent,
  WorkerDomainEvent,
} from './events/domain-events.ts';
export type { EndedOutage, Generation, Outage, OutageCause, ServerEnd } from './events/outage.ts';
export type { Evidence } from './evidence.ts';
export {
  type Fault,
  FaultError,
  type FaultKind,
  faultFrom,
  isDenial,
  type LinkEndCause,
  type LostThing,
} from './faults.ts';
export { pathFrom, stateOf } from './path.ts';
export { type Epoch, isSameEpoch, supersedes } from './ranks/epoch.ts';
export { MAX_HELD_BLOCKS_SHARE } from './ranks/held-limit.ts';
export type {
  Announcement,
  InheritedTransfers,
  RankOutcome,
  RankReport,
  ReportedDistrust,
  ReportedHeld,
  ReportedRefusal,
  ReportedWork,
  Survey,
  SurveyInput,
} from './ranks/messages.ts';
export { isNoProof, type NoProof, type Proof, proofInWords, WAYS_TO_PROOF } from './ranks/proof.ts';
export { type PublishedGeneration, type RankReports, servesIn, unservingRanks } from './ranks/ranks.ts';
export { schedulerMachine } from './scheduler.ts';
export type {
  Cleared,
  SchedulerContext,
  SchedulerEvent,
  SchedulerInput,
  StopOutcome,
  UnregisteredAtStop,
} from './scheduler-setup.ts';
export {
  firstVersionOf,
  newestTestedVersion,
  type ServerVersions,
  storageOffsetFault,
  testedServerVersions,
} from './server-versions.ts';
export {
  type RegistrationInput,
  type WorkerContext,
  type WorkerEvent,
  type WorkerInput,
  workerMachine,
} from './worker.ts';
