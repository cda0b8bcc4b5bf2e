import { randomUUID } from 'node:crypto';
import { type Actor, createActor, fromPromise, type InspectionEvent, type SnapshotFrom, toPromise } from 'xstate';
import {
  type Announcement,
  type Budgets,
  budgetsFrom,
  type Epoch,
  type Fault,
  faultFrom,
  isSameEpoch,
  pushbackMs,
  type RankReport,
  rankRedialCeilingMs,
  type WorkerEvent,
  workerMachine,
} from '../../machines/index.ts';
import { createLink } from '../actors/link.ts';
import { Owners } from '../actors/owners.ts';
import { createRegister, type RegistrationOwner } from '../actors/register.ts';
import { createVerify, type RankIdentity } from '../actors/verify.ts';
import { Connection } from '../rpc/connection.ts';
import { type KvCacheLayer, registrationOf } from './kv-caches.ts';
import { Loads } from './loads.ts';
import type {
  ConnectorMetadata,
  FailedLoad,
  FinishedTransfers,
  LeasedBlocks,
  LoadIntent,
  RefusedSave,
  SaveIntent,
} from './metadata.ts';
import { checkGroupId, checkInstanceOptions, checkRank, type InstanceOptions } from './options.ts';
import { Saves } from './saves.ts';
import { type ConnectorStatus, StatusBoard } from './status.ts';
import type { TransferOutcome } from './transfer.ts';
import { TransferLedger } from './transfer-ledger.ts';

export interface WorkerConnectorOptions extends InstanceOptions {
  /** This worker's place among the `worldSize` ranks, from 0. */
  readonly rank: number;
  /** Effective tensor-parallel rank and size: 0 of 1 where MLA ranks share one copy. */
  readonly tpRank: number;
  readonly tpSize: number;
  /** Pipeline stage. Default 0. */
  readonly ppRank?: number;
  /** CUDA ordinal as the server sees it. */
  readonly deviceId: number;
  /** Sees every event, snapshot and microstep of the machine, as XState tells them. */
  readonly inspect?: (event: InspectionEvent) => void;
}

/** Counts since the start. `refused`: without an RPC: not in service, of another epoch, or impossible. */
export interface WorkerStats {
  loads: Record<'succeeded' | 'failed' | 'refused', number>;
  saves: Record<'succeeded' | 'failed' | 'refused', number>;
  /** Loads among the refused ones whose lease belongs to another epoch. */
  fencedLoads: number;
  /** Refusals that arrived for an epoch that was over. */
  fencedResults: number;
  /** Transfers whose blocks were handed back without proof that the server is done with them. */
  unsafeReleases: number;
}

/** `unconfirmed`: the server may still touch the blocks of `requestIds`; do not free that memory while it lives. */
export type WorkerStopOutcome =
  | { readonly kind: 'clean' }
  | { readonly kind: 'unconfirmed'; readonly requestIds: readonly string[] };

interface WorkerOwner extends RegistrationOwner {
  readonly rank: RankIdentity;
  readonly settled: () => Promise<void>;
}

const owners = new Owners<WorkerOwner>();

const machine = workerMachine.provide({
  actors: {
    link: createLink<WorkerEvent>(owners.of),
    register: createRegister(owners.of),
    verify: createVerify(owners.of),
    settleTransfers: fromPromise<void>(({ system }) => owners.of(system).settled()),
  },
  delays: {
    redialBackoff: ({ context: { failedDials, fault, budgets } }) =>
      Math.random() * rankRedialCeilingMs(failedDials, budgets) + pushbackMs(fault, budgets),
  },
});

/** One rank's half of a connector: registers its KV memory when it is told to, saves and loads blocks. */
export class WorkerConnector {
  readonly stats: WorkerStats = {
    loads: { succeeded: 0, failed: 0, refused: 0 },
    saves: { succeeded: 0, failed: 0, refused: 0 },
    fencedLoads: 0,
    fencedResults: 0,
    unsafeReleases: 0,
  };
  #options: WorkerConnectorOptions;
  #budgets: Budgets;
  #connection: Connection;
  #actor: Actor<typeof workerMachine>;
  #board: StatusBoard;
  #layers: readonly KvCacheLayer[] = [];
  #loads: Loads;
  #saves: Saves;
  #ledger = new TransferLedger(() => this.#tellNews());
  #reportListeners = new Set<(report: RankReport) => void>();
  #settledListeners = new Set<() => void>();
  #lastReport: RankReport;
  /** Set exactly while saves and loads are served. */
  #epoch: Epoch | null = null;
  #stopped: Promise<WorkerStopOutcome> | null = null;

  /** Throws a RangeError or TypeError for an option that cannot work. */
  constructor(options: WorkerConnectorOptions) {
    checkInstanceOptions(options);
    checkRank('rank', options.rank, options.worldSize);
    checkRank('tpRank', options.tpRank, options.tpSize);
    this.#options = options;
    this.#budgets = budgetsFrom(options.budgets);
    this.#loads = new Loads(this.#budgets);
    this.#saves = new Saves(this.#budgets);
    this.#connection = new Connection({ endpoint: options.endpoint, budgets: this.#budgets });
    this.#actor = createActor(machine, {
      input: { rank: options.rank, workerBootId: randomUUID(), budgets: this.#budgets },
      ...(options.inspect ? { inspect: options.inspect } : {}),
    });
    const { instanceId, tpRank, ppRank = 0, deviceId } = options;
    owners.set(this.#actor.system, {
      connection: this.#connection,
      registration: () => registrationOf(this.#options, this.#layers),
      rank: { instanceId, tpRank, ppRank, deviceId },
      settled: () => this.#ledger.settled(),
    });
    this.#board = new StatusBoard(this.#actor.getSnapshot().value, null);
    this.#lastReport = this.takeReport();
    this.#actor.subscribe((snapshot) => this.#follow(snapshot));
  }

  /** vLLM: `register_kv_caches`. Keeps the layers for every registration to come, and begins to look for the server. */
  registerKvCaches(layers: readonly KvCacheLayer[]): void {
    if (layers.length === 0) throw new RangeError('no KV cache layers');
    for (const { groupId } of layers) checkGroupId(groupId);
    this.#layers = layers;
    this.#actor.start();
  }

  get status(): ConnectorStatus {
    return this.#board.status;
  }

  onStatus(listener: (status: ConnectorStatus) => void): () => void {
    return this.#board.listen(listener);
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
    this.#send({ type: 'announcement.received', announcement });
  }

  /** vLLM: `build_connector_worker_meta`. Carry it to {@link SchedulerConnector.acceptReport} after every step. */
  takeReport(): RankReport {
    const { rank, workerBootId, announcement, outcome, fault } = this.#actor.getSnapshot().context;
    const { isIdle: idle } = this.#ledger;
    return {
      rank,
      workerBootId,
      epoch: announcement?.epoch ?? null,
      outcome,
      fault,
      idle,
      serves: this.#epoch !== null,
    };
  }

  /** Tells `listener` the report there is and every change: the push form of {@link takeReport}. */
  onReport(listener: (report: RankReport) => void): () => void {
    this.#reportListeners.add(listener);
    listener(this.takeReport());
    return () => this.#reportListeners.delete(listener);
  }

  /** vLLM: `start_load_kv`. Every load ends in {@link takeFinished}, at once where it is refused. */
  startLoad(loads: readonly LoadIntent[]): void {
    for (const intent of loads) {
      this.#ledger.beginLoad(intent.requestId);
      this.#startLoad(intent);
    }
    this.#pushReport();
  }

  /**
   * vLLM: `wait_for_save`, without waiting: the blocks are read until the request is told as saved. Returns what was
   * refused at once, and why; that is told as saved too, for its blocks are free.
   */
  save(saves: readonly SaveIntent[]): RefusedSave[] {
    const refused: RefusedSave[] = [];
    for (const intent of saves) {
      this.#ledger.beginSave(intent.requestId);
      const reason = this.#startSave(intent);
      if (reason !== null) refused.push({ requestId: intent.requestId, reason });
    }
    this.#pushReport();
    return refused;
  }

  /** vLLM: `get_finished`, with the ids of the requests that the scheduler finished. */
  takeFinished(finishedRequestIds: readonly string[]): FinishedTransfers {
    return this.#ledger.take(finishedRequestIds);
  }

  /** vLLM: `get_block_ids_with_load_errors`; the block ids are those of the failed requests. Drained on read. */
  takeLoadErrors(): FailedLoad[] {
    return this.#ledger.takeErrors();
  }

  /** Calls `listener` whenever {@link takeFinished} may have more to tell. */
  onSettled(listener: () => void): () => void {
    this.#settledListeners.add(listener);
    return () => this.#settledListeners.delete(listener);
  }

  /**
   * vLLM: `handle_preemptions`. Resolves when no transfer of these requests touches their blocks any more, at the
   * latest after `preemptionTimeoutMs`; `unsafe` names the requests for which that budget ended first.
   */
  async handlePreemptions(requestIds: readonly string[]): Promise<{ readonly unsafe: readonly string[] }> {
    await this.#settledWithin(this.#budgets.preemptionTimeoutMs, requestIds);
    const underWay = new Set(this.#ledger.requestsUnderWay);
    const unsafe = requestIds.filter((requestId) => underWay.has(requestId));
    this.stats.unsafeReleases += unsafe.length;
    return { unsafe };
  }

  /** Ends everything within `stopTimeoutMs`. Never rejects. The scheduler's stop unregisters the instance. */
  stop(): Promise<WorkerStopOutcome> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<WorkerStopOutcome> {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.start().send({ type: 'stop' });
    await toPromise(this.#actor).catch(() => {});
    await this.#settledWithin(this.#budgets.stopTimeoutMs / 4);
    const requestIds = this.#ledger.requestsUnderWay;
    this.#loads.abandonAll();
    this.#saves.abandonAll();
    this.#connection[Symbol.dispose]();
    return requestIds.length === 0 ? { kind: 'clean' } : { kind: 'unconfirmed', requestIds };
  }

  #startLoad(intent: LoadIntent): void {
    const { requestId } = intent;
    const epoch = this.#epoch;
    if (epoch === null) {
      this.#refuseLoad(intent, 'not connected');
      return;
    }
    if (!isSameEpoch(intent.epoch, epoch)) {
      this.stats.fencedLoads += 1;
      this.#refuseLoad(intent, 'the lease is of another epoch');
      return;
    }
    const impossible = intent.leases
      .map((leased) => impossibleBlockId(leased, this.#layers))
      .find((why) => why !== null);
    if (impossible !== undefined) {
      this.#refuseLoad(intent, impossible);
      return;
    }
    const { instanceId, tpRank, deviceId } = this.#options;
    const target = { instanceId, tpRank, deviceId, layers: this.#layers };
    try {
      this.#loads.start(this.#connection.server, target, intent, {
        ended: (outcome) => {
          this.#count(this.stats.loads, outcome);
          this.#ledger.endLoad(requestId, outcome.kind === 'failed' ? failedLoad(intent, outcome.fault.message) : null);
        },
        refused: (fault) => this.#suspect(fault, epoch),
        refuted: (message) => this.#suspect({ kind: 'defect', message }, epoch),
      });
    } catch (error) {
      this.#refuseLoad(intent, faultFrom(error).message);
    }
  }

  #refuseLoad(intent: LoadIntent, reason: string): void {
    this.stats.loads.refused += 1;
    this.#ledger.endLoad(intent.requestId, failedLoad(intent, reason));
  }

  /** Why the save was refused at once, or `null`. */
  #startSave(intent: SaveIntent): string | null {
    const { requestId, epoch } = intent;
    const reason = this.#whyNotSave(intent) ?? impossibleBlockId(intent, this.#layers);
    if (reason !== null) {
      this.stats.saves.refused += 1;
      this.#ledger.endSave(requestId);
      return reason;
    }
    const { instanceId, tpRank, ppRank = 0, deviceId } = this.#options;
    const source = { instanceId, tpRank, ppRank, deviceId, layers: this.#layers };
    this.#saves.start(this.#connection.server, source, intent, {
      ended: (outcome) => {
        this.#count(this.stats.saves, outcome);
        this.#ledger.endSave(requestId);
      },
      refused: (fault) => this.#suspect(fault, epoch),
    });
    return null;
  }

  #whyNotSave({ epoch }: SaveIntent): string | null {
    if (this.#epoch === null || !this.#connection.isUp) return 'not connected';
    return isSameEpoch(epoch, this.#epoch) ? null : 'the save is of another epoch';
  }

  /** What arrives after the end is not news. */
  #send(event: WorkerEvent): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event);
  }

  #count(counts: WorkerStats['loads'], outcome: TransferOutcome): void {
    counts[outcome.kind] += 1;
    if (outcome.kind === 'failed' && outcome.isUnsafe) this.stats.unsafeReleases += 1;
  }

  /**
   * The server said no: to this request alone, perhaps for want of the registration, or against all expectation. What
   * is said of an epoch that is over says nothing about this one.
   */
  #suspect(fault: Fault, epoch: Epoch): void {
    const { announcement } = this.#actor.getSnapshot().context;
    if (announcement === null || !isSameEpoch(epoch, announcement.epoch)) {
      this.stats.fencedResults += 1;
      return;
    }
    // "Incomplete" is what every rank hears until the last one has registered; whether it stays so the scheduler asks.
    if (fault.kind === 'rejected' || fault.lost === 'seal') return;
    this.#send({ type: fault.kind === 'defect' ? 'registration.refuted' : 'rpc.failed', fault });
  }

  async #settledWithin(timeoutMs: number, requestIds?: readonly string[]): Promise<void> {
    const budget = Promise.withResolvers<void>();
    const timer = setTimeout(budget.resolve, timeoutMs);
    await Promise.race([this.#ledger.settled(requestIds), budget.promise]);
    clearTimeout(timer);
  }

  #follow(snapshot: SnapshotFrom<typeof workerMachine>): void {
    const { announcement, fault } = snapshot.context;
    this.#epoch = snapshot.hasTag('cacheUsable') ? (announcement?.epoch ?? null) : null;
    this.#board.post(snapshot.value, announcement?.epoch ?? null, fault);
    this.#pushReport();
  }

  #tellNews(): void {
    this.#pushReport();
    for (const listener of this.#settledListeners) listener();
  }

  #pushReport(): void {
    const report = this.takeReport();
    const last = this.#lastReport;
    const isNews =
      report.outcome !== last.outcome ||
      report.epoch !== last.epoch ||
      report.idle !== last.idle ||
      report.serves !== last.serves ||
      report.fault !== last.fault;
    if (!isNews) return;
    this.#lastReport = report;
    for (const listener of this.#reportListeners) listener(report);
  }
}

/** Why these ids cannot be sent, or `null`. The server would copy the wrong bytes, or fail long after it accepted. */
function impossibleBlockId(
  { groupId, blockIds }: Pick<LeasedBlocks, 'groupId' | 'blockIds'>,
  layers: readonly KvCacheLayer[],
): string | null {
  const ofGroup = layers.filter((layer) => (layer.groupId ?? 0) === groupId);
  const numBlocks = Math.min(...ofGroup.map((layer) => layer.numBlocks));
  const isPossible = (id: number | null) => id === null || (Number.isInteger(id) && id >= 0 && id < numBlocks);
  const impossible = blockIds.find((id) => !isPossible(id));
  return impossible === undefined ? null : `block id ${impossible} is not one of ${numBlocks} blocks`;
}

function failedLoad({ requestId, leases }: LoadIntent, reason: string): FailedLoad {
  const blockIds = leases.flatMap((leased) => leased.blockIds.filter((blockId) => blockId !== null));
  return { requestId, groupIds: leases.map(({ groupId }) => groupId), blockIds, reason };
}
