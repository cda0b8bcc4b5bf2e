/** What a connector's machine does, told as records. */
import { isDeepStrictEqual } from 'node:util';
import type { AnyMachineSnapshot, InspectionEvent } from 'xstate';
import { type Announcement, type Epoch, type Fault, pathFrom, type RankReport } from '../../../machines/index.ts';
import type { ConnectorStatus } from '../../connector/index.ts';
import { redacted } from '../../redacted.ts';
import { isStep, type StepInspection } from '../../taken-transition.ts';
import { wallTimeMs } from '../../wall-time.ts';
import type { Evidence, FeedRecord, MachineId, MachineSeen } from '../record.ts';
import { type EventName, edgeTaken, eventNameOf } from './step-inspection.ts';
import { StepThinning } from './step-thinning.ts';
import { troublesIn } from './troubles.ts';

/** A `SchedulerConnector` or a `WorkerConnector`. */
export interface Watched {
  readonly instanceId: string;
  readonly status: ConnectorStatus;
  /** A worker's. */
  readonly rank?: number;
  /** Of a worker whose instance is spread over several servers. */
  readonly shard?: number | null;
  onStatus(listener: (status: ConnectorStatus) => void): () => void;
  inspect(listener: (event: InspectionEvent) => void): () => void;
}

/** The parts of both machines' contexts that a feed tells. */
interface WatchedContext {
  readonly announcement: Announcement | null;
  /** The scheduler's. */
  readonly evidence?: { readonly fault: Fault } | null;
  /** A worker's. */
  readonly fault?: Fault | null;
}

/**
 * Tells where a connector stands and every step of its machine from now on, until the function it returns is called. That
 * tells that the machine is gone. `tell` must not throw.
 */
export function watchMachine(connector: Watched, instance: string, tell: (record: FeedRecord) => void): () => void {
  const { rank = null, status } = connector;
  const machine = machineId(instance, rank);
  let state = status.path;
  let epoch = epochName(status.epoch);
  let fault = status.fault;
  let announced = '';
  let lastEvent: EventName | null = null;
  const thinning = new StepThinning();
  const lastWords = new Map<number, string>();
  let troubles = troublesIn(status);

  const look = (seen: ConnectorStatus) => {
    const all = troublesIn(seen);
    if (isDeepStrictEqual(all, troubles)) return;
    troubles = all;
    tell({ type: 'troubles', atMs: wallTimeMs(), machine, all });
  };

  const hear = ({ rank, outcome, epoch }: RankReport) => {
    const name = wordsOf(outcome, epoch);
    if (lastWords.get(rank) === name) return;
    lastWords.set(rank, name);
    tell({ type: 'message', atMs: wallTimeMs(), from: machineId(instance, rank), to: machine, name });
  };

  const announce = ({ action, epoch }: Announcement) => {
    const name = wordsOf(action, epoch);
    if (announced === name) return;
    announced = name;
    tell({ type: 'message', atMs: wallTimeMs(), from: machine, to: 'ranks', name });
  };

  const follow = (inspection: StepInspection) => {
    const snapshot = inspection.snapshot as AnyMachineSnapshot;
    const context = snapshot.context as WatchedContext;
    const to = pathFrom(snapshot.value);
    if (to !== state) {
      const found = rank === null ? (context.evidence?.fault ?? null) : (context.fault ?? null);
      epoch = epochName(context.announcement?.epoch ?? null);
      const evidence = found === fault ? null : evidenceFrom(found);
      const edge = edgeTaken(inspection);
      const step = { type: 'transition', atMs: wallTimeMs(), machine, from: state, to } as const;
      // A state that is left in the same breath is left for the same event.
      if (lastEvent?.event !== inspection.event) lastEvent = eventNameOf(inspection);
      const transition = { ...step, event: lastEvent.name, epoch, evidence, edge };
      for (const told of thinning.thinned(transition)) tell(told);
      state = to;
      fault = found;
    }
    if (rank === null && context.announcement !== null) announce(context.announcement);
  };

  const kind: MachineSeen['kind'] = rank === null ? 'scheduler' : 'worker';
  const { pid } = process;
  tell({
    type: 'machine',
    atMs: status.sinceMs,
    machine,
    kind,
    instance,
    rank,
    state,
    epoch,
    pid,
    evidence: evidenceFrom(fault),
    ...(troubles.length > 0 ? { troubles } : {}),
  });
  const see = (inspection: InspectionEvent) => {
    if (inspection.actorRef.sessionId !== inspection.rootId) return;
    if (isStep(inspection)) follow(inspection);
    else if (inspection.type === '@xstate.event' && inspection.event.type === 'report.received') {
      hear(inspection.event['report']);
    }
  };
  const stop = connector.inspect((inspection) => {
    try {
      see(inspection);
    } catch {
      // What is thrown here would be thrown amid the machine's step. Better to know no more of it.
      end();
    }
  });
  const unlisten = connector.onStatus(look);
  const end = () => {
    stop();
    unlisten();
    tell({ type: 'gone', atMs: wallTimeMs(), machine });
  };
  return end;
}

function machineId(instance: string, rank: number | null): MachineId {
  return `${instance}/${rank === null ? 'scheduler' : `rank ${rank}`}`;
}

function epochName(epoch: Epoch | null): string | null {
  return epoch === null || epoch.counter === 0 ? null : `#${epoch.counter}`;
}

function wordsOf(word: string, epoch: Epoch | null): string {
  const name = epochName(epoch);
  return name === null ? word : `${word} ${name}`;
}

function evidenceFrom(fault: Fault | null): Evidence | null {
  return fault === null ? null : { kind: fault.kind, message: redacted(fault.message) };
}
