import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type Actor, createActor, fromPromise, type SnapshotFrom, toPromise } from 'xstate';
import {
  type Announcement,
  type Budgets,
  budgetsFrom,
  type Epoch,
  FaultError,
  firstVersionOf,
  isSameEpoch,
  type RankReport,
  rankBackoffs,
  storageOffsetFault,
  type WorkerDomainEvent,
  type WorkerEvent,
  workerMachine,
} from '../../../machines/index.ts';
import { sweepLoadRecords } from '../../../native-bindings/index.ts';
import { createLink } from '../../actors/link.ts';
import { Owners } from '../../actors/owners.ts';
import { createRegister, type RegistrationOwner } from '../../actors/register.ts';
import { createVerify, type VerifyOwner } from '../../actors/verify.ts';
import { ioFirstClock, ioFirstTimer } from '../../io-first-timer.ts';
import { Connection } from '../../rpc/connection.ts';
import type { OurMemory } from '../../rpc/holder/memory-holder.ts';
import { type ConnectorTelemetry, workerTelemetry } from '../../telemetry/connector-telemetry.ts';
import { EventTimes, type WorkerConnectorEvent } from '../../telemetry/event-times.ts';
import type { WorkerObserver } from '../../telemetry/observers.ts';
import { guardedInspector, Listeners } from '../callbacks.ts';
import { type KvCacheLayer, layersIn, layerWithOffset, memoryOf, registrationOf } from '../kv-caches.ts';
import type {
  ConnectorMetadata,
  FailedLoad,
  FinishedTransfers,
  LoadIntent,
  RefusedSave,
  SaveIntent,
} from '../metadata.ts';
import {
  checkGroupId,
  checkInstanceOptions,
  checkRank,
  type InstanceOptions,
  type MachineInspector,
} from '../options.ts';
import { type ConnectorStatus, StatusStore } from '../status.ts';
import type { QuarantineCounts } from '../transfers/quarantine.ts';
import { type Doubt, RankTransfers, type TransferStats } from '../transfers/rank-transfers.ts';
import type { UnsafeRelease } from '../transfers/transfer.ts';
import { checkFencing, type Fencing } from './fencing.ts';
import { claimLayout } from './namespace-layouts.ts';
import type { RankService } from './rank-service.ts';
import { Spacing } from './spacing.ts';

export interface WorkerConnectorOptions extends InstanceOptions {
  /** This worker's place among the `worldSize` ranks, from 0. */
  readonly rank: number;
  /** Effective tensor-parallel rank and size: 0 of 1 where MLA ranks share one copy. */
  readonly tpRank: number;
  readonly tpSize: number;
  /** Of an instance over several servers, the one that this worker uses: those who watch name it so. `shardOfRank` gives it. */
  readonly shard?: number;
  /** Pipeline stage. Default 0. */
  readonly ppRank?: number;
  /** CUDA ordinal as the server sees it. */
  readonly deviceId: number;
  /**
   * How a server is ended that may still touch this rank's blocks and is not heard for `fencingSilenceMs`: by `'kill'`, SIGKILL
   * to the process that is proved to hold the memory, or by a command with its arguments, run without a shell with
   * `PEGAFLOW_SERVER_PID` and `PEGAFLOW_SERVER_ADDRESS` in its environment. It ends the cache of every instance at that server.
   * Default `'off'`: blocks stay held until the server answers or dies.
   */
  readonly fencing?: Fencing;
  /** Sees every event, snapshot and microstep of the machine, as XState tells them. */
  readonly inspect?: MachineInspector;
}

/** Counts since the start. */
export interface WorkerStats extends TransferStats {
  /** Evidence that arrived for a registration that was over. */
  staleResults: number;
}

/** `unconfirmed`: the server may still touch the blocks of `requestIds`; do not free that memory while it lives. */
export type WorkerStopOutcome =
  | { readonly kind: 'clean' }
  | { readonly kind: 'unconfirmed'; readonly requestIds: readonly string[] };

interface WorkerOwner extends RegistrationOwner, VerifyOwner {
  readonly settled: () => Promise<void>;
}

const REPORTS_IN_SILENCE = 5;

const owners = new Owners<WorkerOwner>();

const machine = workerMachine.provide({
  actors: {
    link: createLink<WorkerEvent>(owners.of),
    register: createRegister(owners.of),
    verify: createVerify(owners.of),
    awaitTransfers: fromPromise<void>(({ system }) => owners.of(system).settled()),
  },
  delays: rankBackoffs(Math.random),
});

/** One rank's half of a connector: registers its KV memory when it is told to, saves and loads blocks. */
export class WorkerConnector {
  readonly stats: WorkerStats;
  #options: WorkerConnectorOptions;
  #budgets: Budgets;
  #connection: Connection;
  #actor: Actor<typeof workerMachine>;
  #board: StatusStore;
  #layers: readonly KvCacheLayer[] = [];
  #layerWithOffset: string | undefined;
  #memory: OurMemory;
  /** The layers as one registration names them: every load and save asks. */
  #named: { readonly epoch: Epoch; readonly layers: readonly KvCacheLayer[] } | null = null;
  #transfers: RankTransfers;
  #observer: WorkerObserver;
  #happened: ConnectorTelemetry<WorkerObserver, WorkerConnectorEvent>['happened'];
  #reportListeners = new Listeners<RankReport>();
  #eventListeners = new Listeners<WorkerConnectorEvent>();
  #times = new EventTimes();
  #settledListeners = new Listeners<void>();
  #unsafeReleaseListeners = new Listeners<UnsafeRelease>();
  #reportsMade = 0;
  /** The newest epoch of which was said that the server has all ranks. */
  #sealedIn: Epoch | null = null;
  #copyFailures: Spacing;
  #lastReport: RankReport;
  #cancelRepeat: (() => void) | null = null;
  #endClaim: () => void = () => {};
  #stopped: Promise<WorkerStopOutcome> | null = null;

  /** Throws a RangeError or TypeError for an option that cannot work. */
  constructor(options: WorkerConnectorOptions) {
    checkInstanceOptions(options);
    checkFencing(options.fencing);
    checkRank('rank', options.rank, options.worldSize);
    checkRank('tpRank', options.tpRank, options.tpSize);
    this.#options = options;
    this.#budgets = budgetsFrom(options.budgets);
    this.#copyFailures = new Spacing(this.#budgets.breakerFirstMs, this.#budgets.breakerMaxMs);
    const telemetry = workerTelemetry({ ...options, budgets: this.#budgets, times: this.#times }, options.rank);
    const { inspect, interceptor, observer } = telemetry;
    this.#observer = observer;
    this.#happened = telemetry.happened;
    this.#connection = new Connection({
      endpoint: options.endpoint,
      budgets: this.#budgets,
      interceptor,
      isDirect: options.direct ?? false,
      onProof: (proof) => {
        this.#transfers.proofs.review();
        this.#send({ type: 'proof.found', proof: proof.kind === 'none' ? proof.reason : proof.kind });
      },
      onStall: (stallMs) => observer.stalled(stallMs),
      onUnknownRefusal: (fault) => observer.refusedInUnknownWords(fault),
    });
    this.#actor = createActor(machine, {
      input: { rank: options.rank, workerBootId: randomUUID(), budgets: this.#budgets },
      clock: ioFirstClock,
      ...(options.inspect ? { inspect: guardedInspector(options.inspect) } : {}),
    });
    this.#actor.system.inspect(inspect);
    const { instanceId, tpRank, ppRank = 0, deviceId } = options;
    const rank = { instanceId, tpRank, ppRank, deviceId };
    this.#memory = { deviceId, segments: [] };
    this.#transfers = new RankTransfers({
      rank,
      budgets: this.#budgets,
      connection: this.#connection,
      fencing: options.fencing ?? 'off',
      address: addressOf(options.endpoint),
      onEvent: (event) => this.#send(event),
      observer,
      layersIn: (epoch) => this.#layersIn(epoch),
      service: () => this.#service,
      registeredIn: () => this.#actor.getSnapshot().context.registeredIn,
      onDoubt: (doubt) => this.#weigh(doubt),
      onUnsafeRelease: (release) => this.#unsafeReleaseListeners.emit(release),
      onChange: () => this.#emitChange(),
    });
    this.stats = Object.assign(this.#transfers.stats, { staleResults: 0 });
    owners.set(this.#actor.system, {
      budgets: this.#budgets,
      connection: this.#connection,
      registration: (epoch, serverVersion = firstVersionOf(options.serverVersions ?? 'tested')) => {
        const layer = this.#layerWithOffset;
        const fault = layer === undefined ? null : storageOffsetFault(layer, serverVersion);
        if (fault !== null) throw new FaultError(fault);
        return registrationOf(options, this.#layersIn(epoch), serverVersion);
      },
      memory: () => this.#memory,
      layerNameIn: (epoch) => this.#layersIn(epoch)[0]?.name ?? '',
      rank,
      noteRegistration: (epoch, signal) => this.#transfers.proofs.register(epoch, signal),
      settled: () => this.#transfers.ledger.settled(),
    });
    this.#board = new StatusStore(this.#actor.getSnapshot().value, null);
    this.#lastReport = this.takeReport();
    this.#actor.on('*', (event) => this.#hear(event));
    this.#actor.subscribe((snapshot) => {
      this.#times.endStep();
      this.#follow(snapshot);
    });
  }

  /**
   * vLLM: `register_kv_caches`. Keeps a copy of the layers for every registration to come, and begins to look for the server.
   * Again with other memory, it ends the registration of the memory before at once, and the new one is registered under a
   * `workerBootId` of its own; with the same, it does nothing. Throws an Error where a load or save of the memory before is still
   * under way, and where a connector of this process that has not stopped registered another layout of blocks in the same
   * namespace at the same server.
   */
  registerKvCaches(given: readonly KvCacheLayer[]): void {
    if (given.length === 0) throw new RangeError('no KV cache layers');
    for (const { groupId } of given) checkGroupId(groupId);
    const layers = given.map((layer) => ({ ...layer, wrapperBytes: Uint8Array.from(layer.wrapperBytes) }));
    const isOther = this.#layers.length > 0;
    if (isOther && isDeepStrictEqual(layers, this.#layers)) return;
    if (isOther && !this.#transfers.ledger.isIdle) {
      throw new Error(
        'loads or saves of the KV caches that are registered are under way: register others when they have ended',
      );
    }
    const claimed = claimLayout(this.#options, layers);
    this.#endClaim();
    this.#endClaim = claimed;
    this.#layers = layers;
    this.#layerWithOffset = layerWithOffset(layers);
    this.#memory = memoryOf(this.#options.deviceId, layers);
    this.#named = null;
    void sweepLoadRecords();
    this.#actor.start();
    this.#repeatReports();
    if (!isOther) return;
    this.#transfers.beginLife();
    this.#send({ type: 'memory.replaced', workerBootId: randomUUID() });
  }

  get instanceId(): string {
    return this.#options.instanceId;
  }

  get rank(): number {
    return this.#options.rank;
  }

  /** `null` where it was not told. */
  get shard(): number | null {
    return this.#options.shard ?? null;
  }

  get status(): ConnectorStatus {
    return this.#board.status;
  }

  onStatus(listener: (status: ConnectorStatus) => void): () => void {
    return this.#board.listen(listener);
  }

  /**
   * Tells `listener` what happens from now on: outages of this rank, its registrations, proofs, fencing. Each is told after
   * {@link status} has it, in the order in which it happened, and once. Who comes late reads `status` and then listens.
   */
  onEvent(listener: (event: WorkerConnectorEvent) => void): () => void {
    return this.#eventListeners.add(listener);
  }

  /** Lets `inspector` see what the machine does from now on, beside what the option of this name sees. */
  inspect(inspector: MachineInspector): () => void {
    return this.#actor.system.inspect(guardedInspector(inspector)).unsubscribe;
  }

  /**
   * vLLM: `bind_connector_metadata`, once a step. Takes the announcement; hand `loads` to {@link startLoad} and `saves` to
   * {@link save}.
   */
  acceptMetadata(metadata: ConnectorMetadata): void {
    this.acceptAnnouncement(metadata.announcement);
  }

  /** The push form of {@link acceptMetadata}. Repeats and late ones do no harm. */
  acceptAnnouncement(announcement: Announcement): void {
    const { inherited = [], isSealed, ...word } = announcement;
    if (isSealed) this.#sealedIn = word.epoch;
    this.#send({ type: 'announcement.received', announcement: word });
    const { rank, workerBootId } = this.#actor.getSnapshot().context;
    for (const left of inherited) {
      if (left.rank === rank && left.workerBootId === workerBootId) {
        this.#transfers.ledger.inherit(word.epoch.schedulerBootId, left);
      }
    }
  }

  /** vLLM: `build_connector_worker_meta`. Carry it to {@link SchedulerConnector.acceptReport} after every step. */
  takeReport(): RankReport {
    const { context } = this.#actor.getSnapshot();
    const { rank, workerBootId, announcement, outcome, fault, serverVersion, formerSchedulers, proof } = context;
    const { ledger, proofs, unsafeSaves, work, quarantine } = this.#transfers;
    const { held } = quarantine;
    const { distrust } = unsafeSaves;
    this.#reportsMade += 1;
    return {
      rank,
      workerBootId,
      sequence: this.#reportsMade,
      epoch: announcement?.epoch ?? null,
      number: announcement?.number ?? 0,
      turn: context.turn,
      ...(formerSchedulers.length > 0
        ? { former: formerSchedulers.map(({ schedulerBootId }) => schedulerBootId) }
        : {}),
      outcome,
      ...(context.isRegisterOpen ? { isRegisterOpen: true } : {}),
      fault,
      idle: ledger.isIdle,
      isQuiet: this.#transfers.isQuiet,
      doubt: proofs.doubt,
      asksProof: proofs.asksIn(announcement?.epoch ?? null),
      serves: this.#service !== null,
      reaches: this.#connection.isUp,
      ...(serverVersion === null ? {} : { serverVersion }),
      ...(this.#layerWithOffset === undefined ? {} : { layerWithOffset: this.#layerWithOffset }),
      ...(distrust ? { distrust } : {}),
      ...(held ? { held } : {}),
      ...(proof === null ? {} : { proof }),
      ...(work.report ? { work: work.report } : {}),
    };
  }

  /**
   * Tells `listener` the report there is, every change, and five times in `rankSilenceMs` the same again: the push form of
   * {@link takeReport}.
   */
  onReport(listener: (report: RankReport) => void): () => void {
    const unlisten = this.#reportListeners.add(listener);
    listener(this.#promised(this.takeReport()));
    this.#repeatReports();
    return unlisten;
  }

  /** vLLM: `start_load_kv`. Every load ends in {@link takeFinished}, at once where it is refused. */
  startLoad(loads: readonly LoadIntent[]): void {
    for (const intent of loads) this.#transfers.startLoad(intent);
    this.#pushReport();
  }

  /**
   * vLLM: `wait_for_save`, without waiting: the blocks are read until the request is told as saved. Returns what was
   * refused at once, and why; that is told as saved too, for its blocks are free.
   */
  save(saves: readonly SaveIntent[]): RefusedSave[] {
    const refused: RefusedSave[] = [];
    for (const intent of saves) {
      const reason = this.#transfers.startSave(intent);
      if (reason !== null) refused.push({ requestId: intent.requestId, reason });
    }
    this.#pushReport();
    return refused;
  }

  /**
   * vLLM: `get_finished`, with the ids of the requests that the scheduler finished. `step` is the metadata of the step that is
   * answered: only what its scheduler began is told. Default: what the scheduler began that this rank follows, which may be
   * another one than the step's while a new scheduler takes over.
   */
  takeFinished(finishedRequestIds: readonly string[], step?: ConnectorMetadata): FinishedTransfers {
    return this.#transfers.ledger.take(finishedRequestIds, step?.announcement.epoch.schedulerBootId);
  }

  /**
   * vLLM: `get_block_ids_with_load_errors`; the block ids are those of the failed requests. Drained on read. `step` as in
   * {@link takeFinished}.
   */
  takeLoadErrors(step?: ConnectorMetadata): FailedLoad[] {
    return this.#transfers.ledger.takeErrors(step?.announcement.epoch.schedulerBootId);
  }

  /** Calls `listener` whenever {@link takeFinished} may have more to tell. */
  onSettled(listener: () => void): () => void {
    return this.#settledListeners.add(listener);
  }

  /**
   * Tells `listener` of every {@link UnsafeRelease}: its blocks may be overwritten, or stored under a hash they no longer
   * match, until the server is dead. An operator should hear of each.
   */
  onUnsafeRelease(listener: (release: UnsafeRelease) => void): () => void {
    return this.#unsafeReleaseListeners.add(listener);
  }

  /** Blocks that the server may still touch although its link or its answer is gone, by kind of transfer. */
  quarantine(kind: UnsafeRelease['kind']): QuarantineCounts {
    return this.#transfers.quarantine.counts(kind);
  }

  /**
   * vLLM: `handle_preemptions`. Resolves when it is proved that no transfer of these requests touches their blocks any more: the
   * only call without a bound. What waits longer than `preemptionToldAfterMs` is logged, counted and in `status`. Once `signal` aborts it
   * rejects with its reason, and the blocks must stay as they are. `unsafe` names requests whose blocks were handed back without
   * proof meanwhile, which only `unsafeReleaseAfterMs` does.
   */
  async handlePreemptions(
    requestIds: readonly string[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly unsafe: readonly string[] }> {
    return { unsafe: await this.#transfers.preempted(requestIds, signal) };
  }

  /** Ends everything within `stopTimeoutMs`. Never rejects. The scheduler's stop unregisters the instance. */
  stop(): Promise<WorkerStopOutcome> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<WorkerStopOutcome> {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.start().send({ type: 'stop' });
    await toPromise(this.#actor).catch(() => {});
    await this.#transfers.settledWithin(this.#budgets.stopTimeoutMs / 4);
    const requestIds = this.#transfers.ledger.requestsUnderWay;
    this.#transfers.abandonAll();
    this.#cancelRepeat?.();
    this.#connection[Symbol.dispose]();
    this.#endClaim();
    this.#endClaim = () => {};
    return requestIds.length === 0 ? { kind: 'clean' } : { kind: 'unconfirmed', requestIds };
  }

  #layersIn(epoch: Epoch): readonly KvCacheLayer[] {
    const held = this.#named;
    if (held?.epoch === epoch) return held.layers;
    const layers = layersIn(epoch, this.#layers);
    this.#named = { epoch, layers };
    return layers;
  }

  /** What arrives after the machine stopped is ignored. */
  #send(event: WorkerEvent): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event);
  }

  /** Set exactly while saves and loads are served. */
  get #service(): RankService | null {
    const snapshot = this.#actor.getSnapshot();
    const { announcement, registeredIn } = snapshot.context;
    if (!snapshot.hasTag('cacheUsable') || announcement === null || registeredIn === null) return null;
    return { epoch: announcement.epoch, registeredIn };
  }

  /**
   * The server said no: to this request alone, or perhaps for want of the registration. What is said of a registration
   * that is over says nothing about this one; a `keep` does not end it.
   */
  #weigh({ fault, isRefutation, registeredIn }: Doubt): void {
    const current = this.#actor.getSnapshot().context.registeredIn;
    if (current === null || !isSameEpoch(registeredIn, current)) {
      this.stats.staleResults += 1;
      this.#observer.fenced();
      return;
    }
    // "Incomplete" is what every rank hears until the last one has registered; whether it stays so the scheduler asks.
    // A method that the server lacks, as any other refusal, concerns what was asked.
    if (fault.kind === 'rejected' || fault.kind === 'incompatible' || fault.lost === 'seal') return;
    const isCopyFailure = fault.kind === 'defect' && fault.isUnknown !== true;
    // It may be the block's own fault, which no registration cures.
    if (isCopyFailure && !this.#copyFailures.isDue(performance.now())) return;
    this.#send({ type: isRefutation || isCopyFailure ? 'registration.refuted' : 'rpc.failed', fault });
  }

  /** The one place that hears what the machine emits, and gives it a time. */
  #hear(emitted: WorkerDomainEvent): void {
    // It is emitted before the machine's subscribers hear of the step: whoever is told of it here can rely on what this connector says.
    this.#follow(this.#actor.getSnapshot());
    const event = this.#times.timed(emitted);
    this.#board.note(event);
    this.#happened(event);
    this.#eventListeners.emit(event);
  }

  #follow(snapshot: SnapshotFrom<typeof workerMachine>): void {
    const { announcement, fault, rank, proof, isOutOfService } = snapshot.context;
    if (announcement?.epoch.schedulerBootId) this.#transfers.ledger.follow(announcement.epoch.schedulerBootId);
    if (!snapshot.hasTag('cacheUsable')) this.#transfers.withdrawUnsent('not connected any more');
    const proofs = proof === null ? [] : [{ rank, proof }];
    const outage = isOutOfService ? { cause: null, fault } : null;
    this.#board.post(snapshot.value, announcement?.epoch ?? null, fault, proofs, outage);
    this.#transfers.proofs.review();
    this.#checkRecords();
    this.#pushReport();
  }

  /** Asked sooner, the server would log a refusal. */
  #checkRecords(): void {
    const service = this.#service;
    if (service === null || this.#sealedIn === null || !isSameEpoch(service.epoch, this.#sealedIn)) return;
    this.#transfers.checkRecords(service);
  }

  #emitChange(): void {
    this.#pushReport();
    this.#settledListeners.emit();
  }

  #pushReport(): void {
    const report = this.takeReport();
    const last = this.#lastReport;
    const isChanged =
      report.outcome !== last.outcome ||
      report.epoch !== last.epoch ||
      report.number !== last.number ||
      report.idle !== last.idle ||
      report.isQuiet !== last.isQuiet ||
      report.doubt !== last.doubt ||
      report.asksProof !== last.asksProof ||
      report.serves !== last.serves ||
      report.reaches !== last.reaches ||
      report.distrust !== last.distrust ||
      report.work !== last.work ||
      report.proof !== last.proof ||
      !isDeepStrictEqual(report.held, last.held) ||
      report.layerWithOffset !== last.layerWithOffset ||
      report.fault !== last.fault;
    if (!isChanged) return;
    this.#tell(report);
  }

  #tell(report: RankReport): void {
    this.#lastReport = report;
    this.#reportListeners.emit(this.#promised(report));
  }

  #promised(report: RankReport): RankReport {
    return { ...report, againWithinMs: this.#budgets.rankSilenceMs / REPORTS_IN_SILENCE };
  }

  /** So that a scheduler that hears nothing knows that nobody is there to speak. */
  #repeatReports(): void {
    const isRunning = this.#actor.getSnapshot().status === 'active' && this.#layers.length > 0;
    if (this.#cancelRepeat !== null || this.#reportListeners.isEmpty || !isRunning) return;
    this.#cancelRepeat = ioFirstTimer(this.#budgets.rankSilenceMs / REPORTS_IN_SILENCE, () => {
      this.#cancelRepeat = null;
      if (!this.#reportListeners.isEmpty) this.#tell(this.takeReport());
      this.#repeatReports();
    });
  }
}

function addressOf(endpoint: string): string {
  const { hostname, port } = new URL(endpoint);
  return `${hostname}:${port || 80}`;
}
