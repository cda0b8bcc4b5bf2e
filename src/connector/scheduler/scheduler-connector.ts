import { randomUUID } from 'node:crypto';
import { type Actor, createActor, type SnapshotFrom, toPromise, waitFor } from 'xstate';
import {
  type Announcement,
  budgetsFrom,
  type Fault,
  faultFrom,
  MAX_HELD_BLOCKS_SHARE,
  type RankReport,
  type SchedulerDomainEvent,
  type SchedulerEvent,
  type StopOutcome,
  schedulerBackoffs,
  schedulerMachine,
  unservingRanks,
} from '../../../machines/index.ts';
import { createClear } from '../../actors/clear.ts';
import { createLink } from '../../actors/link.ts';
import { createOpenSession, type SessionOwner } from '../../actors/open-session.ts';
import { Owners } from '../../actors/owners.ts';
import { createProbeVersion } from '../../actors/probe-version.ts';
import { createSurvey, type SurveyOwner } from '../../actors/survey.ts';
import { createUnregisterAtStop, type UnregisteringOwner } from '../../actors/unregister-at-stop.ts';
import { type AttendanceOwner, createWatchRanks } from '../../actors/watch-ranks.ts';
import { ioFirstClock } from '../../io-first-timer.ts';
import { Connection } from '../../rpc/connection.ts';
import { type SchedulerTelemetry, schedulerTelemetry } from '../../telemetry/connector-telemetry.ts';
import { EventTimes, type SchedulerConnectorEvent } from '../../telemetry/event-times.ts';
import { guardedInspector, Listeners } from '../callbacks.ts';
import { copiedSave } from '../copied.ts';
import type { ConnectorMetadata, FinishedTransfers, LoadIntent } from '../metadata.ts';
import {
  checkGroupId,
  checkInstanceOptions,
  checkRank,
  checkShare,
  type InstanceOptions,
  type MachineInspector,
} from '../options.ts';
import type { Query, QueryOutcome } from '../query.ts';
import { type ConnectorStatus, StatusStore } from '../status.ts';
import { Attendance } from './attendance.ts';
import { Breakers } from './breakers.ts';
import { CacheQueries, type SchedulerStats } from './cache-queries.ts';
import { Distrust } from './distrust.ts';
import { type BlockIds, type BlockIdsByGroup, blockIdsByGroup, loadIntentFrom } from './hits.ts';
import { Inheritance } from './inheritance.ts';
import { Leases } from './leases.ts';
import { RefusedWork } from './refused-work.ts';
import { SchedulerRequests } from './scheduler-requests.ts';
import { ServerDeath } from './server-death.ts';
import type { Service } from './service.ts';

export interface SchedulerConnectorOptions extends InstanceOptions {
  /** Ranks that one server keeps apart; 1 where MLA ranks share one copy. */
  readonly tpSize: number;
  /**
   * Largest share of a rank's blocks, in any storage group, that may be held for loads and saves whose server is silent or gone.
   * At the limit of any rank nothing is saved and queries miss, until it holds less. Above 0, at most 1. Default 0.25.
   */
  readonly maxHeldBlocksShare?: number;
  /** Sees every event, snapshot and microstep of the machine, as XState tells them. */
  readonly inspect?: MachineInspector;
}

export interface Save {
  readonly requestId: string;
  /** Storage group. Default 0. */
  readonly groupId?: number;
  /** Blocks of every layer of the group, on every rank. Parallel to `blockHashes`. */
  readonly blockIds: readonly number[];
  readonly blockHashes: readonly Uint8Array[];
}

const owners = new Owners<SessionOwner & SurveyOwner & UnregisteringOwner & AttendanceOwner>();

const machine = schedulerMachine.provide({
  actors: {
    link: createLink<SchedulerEvent>(owners.of),
    openSession: createOpenSession(owners.of),
    survey: createSurvey(owners.of),
    watchRanks: createWatchRanks(owners.of),
    clear: createClear(owners.of),
    probeVersion: createProbeVersion(owners.of),
    unregisterAtStop: createUnregisterAtStop(owners.of),
  },
  delays: schedulerBackoffs(Math.random),
});

/** The scheduler's half of a connector: asks the cache, and runs every registration generation. */
export class SchedulerConnector {
  #options: SchedulerConnectorOptions;
  #connection: Connection;
  #actor: Actor<typeof schedulerMachine>;
  #board: StatusStore;
  #serverDeath: ServerDeath;
  #attendance: Attendance;
  #leases: Leases;
  #distrust = new Distrust();
  #queries: CacheQueries;
  #breakers: Breakers;
  #refusedWork: RefusedWork;
  #ledger = new SchedulerRequests();
  #inheritance = new Inheritance(this.#ledger);
  #announcementListeners = new Listeners<Announcement>();
  #eventListeners = new Listeners<SchedulerConnectorEvent>();
  #times = new EventTimes();
  #telemetry: SchedulerTelemetry;
  /** The machine's announcement that the service's was made of. */
  #announced: Announcement;
  #service: Service;
  #isStarted = false;
  #stopped: Promise<StopOutcome> | null = null;

  /**
   * Throws a RangeError or TypeError for an option that cannot work. The queries of a shard are measured by the connector
   * that it is part of.
   */
  constructor(options: SchedulerConnectorOptions, isShard = false) {
    checkInstanceOptions(options);
    this.#options = options;
    const budgets = budgetsFrom(options.budgets);
    const telemetry = schedulerTelemetry({ ...options, budgets, times: this.#times });
    const { observer, interceptor } = telemetry;
    this.#telemetry = telemetry;
    this.#connection = new Connection({
      endpoint: options.endpoint,
      budgets,
      interceptor,
      isDirect: options.direct ?? false,
      onStall: (stallMs) => observer.stalled(stallMs),
      onUnknownRefusal: (fault) => observer.refusedInUnknownWords(fault),
    });
    this.#serverDeath = new ServerDeath(this.#connection, () => this.#send({ type: 'server.died' }));
    const { serverVersions = 'tested', maxHeldBlocksShare = MAX_HELD_BLOCKS_SHARE } = options;
    checkShare('maxHeldBlocksShare', maxHeldBlocksShare);
    this.#actor = createActor(machine, {
      input: {
        schedulerBootId: randomUUID(),
        worldSize: options.worldSize,
        budgets,
        serverVersions,
        maxHeldBlocksShare,
      },
      clock: ioFirstClock,
      ...(options.inspect ? { inspect: guardedInspector(options.inspect) } : {}),
    });
    this.#actor.system.inspect(telemetry.inspect);
    const { instanceId, namespace, tpSize, worldSize } = options;
    owners.set(this.#actor.system, {
      budgets,
      connection: this.#connection,
      session: { instanceId, namespace, tpSize, worldSize },
      deathSeen: (signal) => this.#serverDeath.seen(budgets.settleMs, signal),
      cleared: (server, hadIt) => this.#serverDeath.cleared(server, hadIt),
      mayBeElsewhere: () => this.#serverDeath.mayBeElsewhere,
      onSessionEnded: (fault) => this.#send({ type: 'session.ended', fault }),
      watchRanks: (onMissed) => this.#attendance.watch(onMissed),
    });
    const { value, context } = this.#actor.getSnapshot();
    this.#attendance = new Attendance(context.reports, context.announcement.epoch, budgets);
    this.#announced = context.announcement;
    this.#service = { announcement: context.announcement, epoch: null, isAtHeldLimit: false };
    this.#board = new StatusStore(value, context.announcement.epoch);
    const shared = {
      connection: this.#connection,
      service: () => this.#service,
      reportFault: (fault: Fault) => this.#send({ type: 'rpc.failed', fault }),
    };
    this.#leases = new Leases({ ...shared, releaseTimeoutMs: budgets.releaseTimeoutMs });
    this.#breakers = new Breakers(() => this.#actor.getSnapshot().children);
    this.#refusedWork = new RefusedWork({
      budgets,
      breakers: this.#breakers,
      loadOf: (requestId) => this.#ledger.loadOf(requestId),
      onWithdrawn: (blocks, fault) => this.#send({ type: 'blocks.withdrawn', blocks, fault }),
    });
    this.#queries = new CacheQueries({
      ...shared,
      breakers: this.#breakers,
      refusedWork: this.#refusedWork,
      instanceId,
      budgets,
      leases: this.#leases,
      distrust: this.#distrust,
      observer: isShard ? { ...observer, queried: () => {} } : observer,
    });
    this.#actor.on('*', (event) => this.#hear(event));
    this.#actor.subscribe((snapshot) => {
      this.#times.endStep();
      this.#follow(snapshot);
    });
  }

  /** Begins to look for the server. Returns at once; until it is found every query is a miss. Nothing after a stop. */
  start(): void {
    if (this.#stopped !== null) return;
    this.#isStarted = true;
    this.#actor.start();
  }

  get instanceId(): string {
    return this.#options.instanceId;
  }

  get stats(): SchedulerStats {
    return this.#queries.stats;
  }

  get status(): ConnectorStatus {
    return this.#board.status;
  }

  onStatus(listener: (status: ConnectorStatus) => void): () => void {
    return this.#board.listen(listener);
  }

  /**
   * Tells `listener` what happens from now on: outages, generations, evidence, breakers, ranks that are missed. Each is told after
   * {@link status} has it, in the order in which it happened, and once. Who comes late reads `status` and then listens.
   */
  onEvent(listener: (event: SchedulerConnectorEvent) => void): () => void {
    return this.#eventListeners.add(listener);
  }

  /** Lets `inspector` see what the machine does from now on, beside what the option of this name sees. */
  inspect(inspector: MachineInspector): () => void {
    return this.#actor.system.inspect(guardedInspector(inspector)).unsubscribe;
  }

  /** Tells `listener` the announcement there is and every one that follows: the push form of {@link buildMetadata}. */
  onAnnounce(listener: (announcement: Announcement) => void): () => void {
    const unlisten = this.#announcementListeners.add(listener);
    listener(this.#service.announcement);
    this.#confirmDelivery();
    return unlisten;
  }

  /** Whether a query would be asked: a server is in service. */
  get isInService(): boolean {
    return this.#service.epoch !== null;
  }

  /** Where in its query the blocks are that {@link scheduleLoad} would load now; empty without a hit that is good. */
  heldPositions(requestId: string, groupId = 0): readonly number[] {
    return this.#queries.heldPositions(requestId, groupId);
  }

  /** vLLM: `get_num_new_matched_tokens`. Asking again for the same blocks costs no RPC while the hit is fresh. */
  query(query: Query): Promise<QueryOutcome> {
    return this.#queries.query(query);
  }

  /**
   * vLLM: `update_state_after_alloc`. Loads what queries of this request hit, in the next step: block `i` of the hit into
   * `blockIds[i]`. `null`, or the end of the list, leaves blocks of the hit where they are. A list alone is for group 0;
   * a request with several groups loads them together, and a hit of a group that is not named here is given back.
   *
   * `false`: a hit is gone, and those of the other groups are given back; treat all as misses. Gives the hits back and
   * throws: a RangeError where a list is longer than its hit; an Error where a load of this request is still under way, or
   * blocks of an earlier request by the same id are still held.
   */
  scheduleLoad(requestId: string, blockIds: BlockIds | BlockIdsByGroup): boolean {
    const byGroup = blockIdsByGroup(blockIds);
    try {
      this.#ledger.checkLoad(requestId);
    } catch (error) {
      this.#queries.release(requestId);
      throw error;
    }
    const taken = this.#queries.take(requestId, Object.keys(byGroup).map(Number));
    if (taken === null) return false;
    try {
      const load = this.#ledger.scheduleLoad(loadIntentFrom(requestId, taken, byGroup));
      this.#refusedWork.loadBegan(
        load,
        taken.hits.flatMap(({ blockHashes }) => blockHashes),
      );
    } catch (error) {
      for (const hit of taken.hits) this.#leases.release(hit);
      throw error;
    }
    return true;
  }

  /**
   * Whether a save would be scheduled: a server is in service and does not refuse saves, and by its newest report every rank
   * can save and holds less than `maxHeldBlocksShare` of its blocks.
   */
  get takesSaves(): boolean {
    const { epoch, isAtHeldLimit } = this.#service;
    if (epoch === null || isAtHeldLimit || !this.#breakers.admit('saves')) return false;
    return unservingRanks(this.#actor.getSnapshot().context.reports, epoch).length === 0;
  }

  /**
   * Saves these blocks in the next step. Best effort: a save that fails is only a later miss. `false`: nothing is saved,
   * and nothing told, because not every rank can, because ranks hold too much already, or because the server refuses saves and none is due to be tried; blocks that some ranks alone save would fill the pool and never be a hit.
   * Throws a RangeError where the lists differ in length, and an Error where blocks of an earlier request by the same id are
   * still held.
   */
  scheduleSave({ requestId, groupId = 0, blockIds, blockHashes }: Save): boolean {
    checkGroupId(groupId);
    if (blockIds.length !== blockHashes.length) {
      throw new RangeError(`request ${requestId}: ${blockIds.length} block ids and ${blockHashes.length} hashes`);
    }
    if (!this.takesSaves) return false;
    const { epoch } = this.#service.announcement;
    this.#ledger.scheduleSave(copiedSave({ requestId, epoch, groupId, blockIds, blockHashes }));
    this.#breakers.begin('saves');
    return true;
  }

  /** Gives up the hits of this request that will not be loaded, in one group or in all. */
  release(requestId: string, groupId?: number): void {
    this.#queries.release(requestId, groupId);
  }

  /** vLLM: `build_connector_meta`. Call it once a step and carry the result to every rank. */
  buildMetadata(): ConnectorMetadata {
    this.#confirmDelivery();
    this.#attendance.carried();
    return { announcement: this.#service.announcement, ...this.#ledger.drain() };
  }

  /**
   * What {@link WorkerConnector.takeReport} of a rank returned. Repeats and late ones do no harm; a rank that is not one
   * of `worldSize` is a RangeError.
   */
  acceptReport(report: RankReport): void {
    checkRank('the report of rank', report.rank, this.#options.worldSize);
    // A hit that is held may be on what is distrusted from now on.
    if (this.#distrust.accept(report)) this.#queries.releaseAll();
    this.#send({ type: 'report.received', report });
    this.#refusedWork.accept(report);
    // Of a late report the machine keeps nothing.
    const { workerBootId } = this.#actor.getSnapshot().context.reports[report.rank] ?? report;
    if (!this.#inheritance.noteWorker(report.rank, workerBootId)) return;
    const { isSealed } = this.#service.announcement;
    const announcement = { ...this.#told(this.#announced), ...(isSealed ? { isSealed } : {}) };
    this.#service = { ...this.#service, announcement };
    this.#announce(this.#service.announcement);
  }

  /**
   * vLLM: `update_connector_output`. Takes what has ended on all ranks, with the requests whose load failed on any,
   * and returns what to act on: each running request once, each finished one once when its blocks may be freed.
   */
  acceptFinished(ended: FinishedTransfers & { readonly failedLoads?: readonly string[] }): FinishedTransfers {
    const { finished, loads } = this.#ledger.applyEnds(ended);
    if (this.#inheritance.forgetEnded()) {
      const { inherited: _, ...announcement } = this.#service.announcement;
      this.#service = { ...this.#service, announcement };
    }
    const failed = new Set(ended.failedLoads);
    // A rank that did not load left its share: the lease would pin the blocks until it expires.
    for (const load of loads) {
      const isFailed = failed.has(load.requestId);
      this.#refusedWork.loadEnded(load, isFailed);
      if (isFailed) this.#releaseLoad(load);
    }
    return finished;
  }

  /** vLLM: `request_finished`. `true`: hold the request's blocks until {@link acceptFinished} returns it. */
  requestFinished(requestId: string): boolean {
    this.#queries.forget(requestId);
    this.#refusedWork.forget(requestId);
    const withdrawn = this.#ledger.withdrawLoad(requestId);
    if (withdrawn) this.#releaseLoad(withdrawn);
    return this.#ledger.finish(requestId);
  }

  /**
   * Before a planned restart of the server: queries miss, the ranks finish what is under way, and the session is handed
   * back, so that the server can exit at once. Resolves then, at the latest after `drainTimeoutMs`. Nothing is dialled
   * until {@link resume}, or `drainedTimeoutMs` later.
   */
  async drain(): Promise<void> {
    if (!this.#isStarted) return;
    this.#send({ type: 'drain' });
    // Said from within a step of the machine, it is heeded after that step.
    await Promise.resolve();
    await waitFor(this.#actor, (snapshot) => !snapshot.hasTag('releasingSession'));
    this.#connection.dropOld();
  }

  /** The server may be back: looks for it at once. */
  resume(): void {
    this.#send({ type: 'resume' });
  }

  /** Stops the ranks, unregisters and closes everything, within `stopTimeoutMs`. Never rejects. */
  stop(): Promise<StopOutcome> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<StopOutcome> {
    // Never started, nothing is ours: what the server holds under this id belongs to somebody else.
    if (!this.#isStarted) return { kind: 'clean' };
    this.#queries.releaseAll();
    this.#send({ type: 'stop' });
    const outcome = await toPromise(this.#actor).catch(
      (error): StopOutcome => ({ kind: 'unconfirmed', reason: faultFrom(error).message }),
    );
    this.#connection[Symbol.dispose]();
    return outcome;
  }

  #releaseLoad({ epoch, leases }: LoadIntent): void {
    for (const { lease } of leases) this.#leases.release({ epoch, lease });
  }

  /** What arrives after the machine stopped is ignored. */
  #send(event: SchedulerEvent): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event);
  }

  #confirmDelivery(): void {
    this.#send({ type: 'announcement.delivered', epoch: this.#service.announcement.epoch });
  }

  /** The one place that hears what the machine emits, and gives it a time. */
  #hear(emitted: SchedulerDomainEvent): void {
    // It is emitted before the machine's subscribers hear of the step: whoever is told of it here can rely on what this connector says.
    this.#follow(this.#actor.getSnapshot());
    const event = this.#times.timed(emitted);
    this.#board.note(event);
    this.#telemetry.happened(event);
    this.#eventListeners.emit(event);
  }

  #follow(snapshot: SnapshotFrom<typeof schedulerMachine>): void {
    const { announcement, evidence, reports, isAtHeldLimit } = snapshot.context;
    this.#attendance.observe(reports, announcement.epoch);
    const before = this.#service;
    const epoch = snapshot.hasTag('cacheUsable') ? announcement.epoch : null;
    const isChanged = announcement !== this.#announced;
    this.#announced = announcement;
    const told = isChanged ? this.#told(announcement) : before.announcement;
    this.#service = { announcement: told, epoch, isAtHeldLimit };
    if (isChanged && announcement.action === 'register') {
      this.#serverDeath.forget();
      this.#refusedWork.registrationBegan();
    }
    if (isChanged) this.#announce(this.#service.announcement);
    if (before.epoch === null && epoch !== null) {
      this.#serverDeath.watch();
      this.#leases.reconcile(announcement);
      this.#queries.begin(epoch);
      this.#tellSealed();
    }
    const proofs = reports.flatMap((report) =>
      report?.proof === undefined ? [] : [{ rank: report.rank, proof: report.proof }],
    );
    const { outage } = snapshot.context;
    this.#board.post(snapshot.value, announcement.epoch, evidence?.fault ?? null, proofs, outage);
  }

  /** With the trace that the ranks' own spans belong to, and what replaced workers have left. */
  #told(announcement: Announcement): Announcement {
    const traceparent = this.#telemetry.traceparent();
    const { left } = this.#inheritance;
    return {
      ...announcement,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(left.length === 0 ? {} : { inherited: left }),
    };
  }

  #tellSealed(): void {
    if (this.#service.announcement.isSealed) return;
    this.#service = { ...this.#service, announcement: { ...this.#service.announcement, isSealed: true } };
    this.#announce(this.#service.announcement);
  }

  #announce(announcement: Announcement): void {
    this.#announcementListeners.emit(announcement);
    if (!this.#announcementListeners.isEmpty) this.#confirmDelivery();
  }
}
