import {
  type Budgets,
  type Epoch,
  type Fault,
  faultFrom,
  isSameEpoch,
  type PassedOnByRank,
} from '../../../machines/index.ts';
import type { RankIdentity } from '../../actors/verify.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { Connection } from '../../rpc/connection.ts';
import type { WorkerObserver } from '../../telemetry/observers.ts';
import { copiedLoad, copiedSave } from '../copied.ts';
import type { KvCacheLayer } from '../kv-caches.ts';
import type { FailedLoad, LeasedBlocks, LoadIntent, SaveIntent } from '../metadata.ts';
import { Fencer, type Fencing } from '../worker/fencing.ts';
import type { RankService } from '../worker/rank-service.ts';
import { BlocksInUse } from './blocks-in-use.ts';
import { destinationsOf, Loads } from './loads.ts';
import { type Doubts, ProofSeeker } from './proof-seeker.ts';
import { type GroupBlocks, Quarantine } from './quarantine.ts';
import { recordFault } from './record-check.ts';
import { Saves } from './saves.ts';
import type { Transfer, TransferEvents, TransferOutcome, UnsafeRelease } from './transfer.ts';
import { UnsafeSaves } from './unsafe-saves.ts';
import { WorkReport } from './work-report.ts';
import { type TransferLife, WorkerRequests } from './worker-requests.ts';

/** Counts since the start. `refused`: without an RPC: not in service, of another epoch, or impossible. */
export interface TransferStats {
  loads: Record<'succeeded' | 'failed' | 'refused', number>;
  saves: Record<'succeeded' | 'failed' | 'refused', number>;
  /** Loads among the refused ones whose lease belongs to another epoch. */
  fencedLoads: number;
  /** Transfers whose blocks were handed back without proof that the server is done with them. */
  unsafeReleases: number;
}

/** What a failed transfer says, of the registration that it was begun on. */
export interface Doubt {
  readonly fault: Fault;
  /** The server said yes to the registration and no to using it. */
  readonly isRefutation: boolean;
  readonly registeredIn: Epoch;
}

export interface RankTransfersOptions {
  readonly rank: RankIdentity;
  readonly budgets: Budgets;
  readonly connection: Connection;
  readonly fencing: Fencing;
  /** Of the server, `host:port`. */
  readonly address: string;
  readonly onEvent: (event: PassedOnByRank) => void;
  readonly observer: WorkerObserver;
  /** This rank's layers, by the names that they have at the server in that epoch's registration. */
  readonly layersIn: (registeredIn: Epoch) => readonly KvCacheLayer[];
  /** `null`: not in service. */
  readonly service: () => RankService | null;
  readonly onDoubt: (doubt: Doubt) => void;
  readonly onUnsafeRelease: (release: UnsafeRelease) => void;
  /** The epoch of the registration that the server has, as far as is known. */
  readonly registeredIn: () => Epoch | null;
  /** Something ended, or is distrusted or held, that was not before. */
  readonly onChange: () => void;
}

/** The loads and saves of one rank: refused, under way, in quarantine, ended, each told once. */
export class RankTransfers {
  readonly stats: TransferStats = {
    loads: { succeeded: 0, failed: 0, refused: 0 },
    saves: { succeeded: 0, failed: 0, refused: 0 },
    fencedLoads: 0,
    unsafeReleases: 0,
  };
  readonly ledger: WorkerRequests;
  readonly quarantine = new Quarantine();
  #work = new WorkReport();
  readonly unsafeSaves: UnsafeSaves;
  readonly proofs: ProofSeeker;
  readonly #fencer: Fencer;
  #options: RankTransfersOptions;
  /** Of every transfer under way, the epoch of the registration that it was begun on. */
  #registeredIn = new WeakMap<Transfer, Epoch>();
  /** In doubt, and known to be behind in the server's queues, or gone with what was in them. */
  #passed = new WeakSet<Transfer>();
  /** The registration in which the server was asked whether it can write load records. */
  #checkedIn: Epoch | null = null;
  #loads: Loads;
  #saves: Saves;
  #inUse = new BlocksInUse();
  #isHeldChangeDue = false;
  #cancelHeldLong: (() => void) | null = null;
  #preemptions = new Set<{ readonly requestIds: ReadonlySet<string>; readonly unsafe: Set<string> }>();

  constructor(options: RankTransfersOptions) {
    this.#options = options;
    this.ledger = new WorkerRequests(options.onChange);
    this.unsafeSaves = new UnsafeSaves(options.onChange);
    this.#loads = new Loads(options.budgets);
    this.#saves = new Saves(options.budgets);
    const { connection } = options;
    this.#fencer = new Fencer({
      fencing: options.fencing,
      address: options.address,
      budgets: options.budgets,
      inDoubt: () => this.#transfers.filter(({ isSuspected }) => isSuspected),
      hearing: () => connection,
      onEvent: options.onEvent,
    });
    this.proofs = new ProofSeeker({
      budgets: options.budgets,
      deviceId: options.rank.deviceId,
      connection,
      doubts: () => this.#doubts(),
      hasOpen: (registeredIn) => this.#transfers.some((transfer) => this.#isOf(transfer, registeredIn)),
      service: options.service,
      registeredIn: options.registeredIn,
      followSaves: (server, registeredIn, signal) => {
        const { rank, layersIn } = options;
        return this.#saves.follow(server, { ...rank, layers: layersIn(registeredIn) }, signal);
      },
      prove: (registeredIn) => this.#prove(registeredIn),
      passed: (registeredIn) => {
        for (const transfer of this.#inDoubtOf(registeredIn)) this.#passed.add(transfer);
      },
      onDelay: (pairs) => options.onEvent({ type: 'proof.delayed', pairs }),
      onChange: options.onChange,
    });
  }

  /**
   * Whether a clear would meet no copy of this rank, as far as can be known: nothing is under way but what is in doubt, and that
   * the server's queues have passed, or it belongs to an earlier registration.
   */
  get isQuiet(): boolean {
    const current = this.#options.registeredIn();
    return this.#transfers.every((transfer) => {
      const epoch = this.#registeredIn.get(transfer);
      if (!transfer.isInDoubt) return false;
      return this.#passed.has(transfer) || current === null || epoch === undefined || !isSameEpoch(epoch, current);
    });
  }

  /** What the server did with the work of this life. */
  get work(): WorkReport {
    return this.#work;
  }

  /** Other memory is another life of the rank: its refusals are counted from the first. */
  beginLife(): void {
    this.#work = new WorkReport();
  }

  /** Once in a registration, when the instance is sealed: whether loads can succeed, before a hit depends on it. */
  checkRecords({ registeredIn }: RankService): void {
    const { connection, rank, budgets, onChange } = this.#options;
    const isChecked = this.#checkedIn !== null && isSameEpoch(this.#checkedIn, registeredIn);
    if (isChecked || !connection.isUp) return;
    this.#checkedIn = registeredIn;
    void recordFault(connection.server, rank, budgets).then((fault) => {
      if (fault === null) return;
      this.work.allRefused('load', fault);
      onChange();
    });
  }

  startLoad(intent: LoadIntent): void {
    const life = this.ledger.begin('load', intent);
    if (life === null) return;
    const reason = this.#tryLoading(copiedLoad(intent), life);
    if (reason === null) return;
    this.#countRefused('load');
    life.end(failedLoad(intent, reason));
  }

  /** Why the save was refused at once, or `null`. */
  startSave(intent: SaveIntent): string | null {
    const life = this.ledger.begin('save', intent);
    if (life === null) return null;
    const reason = this.#trySaving(copiedSave(intent), life);
    if (reason === null) return null;
    this.#countRefused('save');
    life.end();
    return reason;
  }

  /** Resolves when no transfer is under way, or at the end of the budget. */
  async settledWithin(timeoutMs: number): Promise<void> {
    const budget = Promise.withResolvers<void>();
    const cancel = ioFirstTimer(timeoutMs, budget.resolve);
    await Promise.race([this.ledger.settled(), budget.promise]);
    cancel();
  }

  /**
   * Resolves when no transfer of these requests is under way, with those of them whose blocks were handed back without proof
   * meanwhile. Rejects with the signal's reason.
   */
  async preempted(requestIds: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const { budgets, onEvent } = this.#options;
    signal?.throwIfAborted();
    this.withdrawUnsent('preempted before it was sent', requestIds);
    const wait = { requestIds: new Set(requestIds), unsafe: new Set<string>() };
    const given = Promise.withResolvers<never>();
    const giveUp = () => given.reject(signal?.reason);
    let isTold = false;
    const tell = () => {
      isTold = true;
      onEvent(this.#heldUp(wait.requestIds));
    };
    const cancel = ioFirstTimer(budgets.preemptionToldAfterMs, tell);
    signal?.addEventListener('abort', giveUp);
    this.#preemptions.add(wait);
    try {
      await Promise.race([this.ledger.settled(requestIds), given.promise]);
    } finally {
      cancel();
      signal?.removeEventListener('abort', giveUp);
      this.#preemptions.delete(wait);
      if (isTold) onEvent({ type: 'preemption.ended' });
    }
    return requestIds.filter((requestId) => wait.unsafe.has(requestId));
  }

  #heldUp(requestIds: ReadonlySet<string>): PassedOnByRank {
    const waiting = this.#transfers.filter(({ subject }) => requestIds.has(subject.requestId));
    const requests = new Set(waiting.map(({ subject }) => subject.requestId)).size;
    const blocks = waiting.reduce((sum, { subject }) => sum + subject.blockIds.length, 0);
    return { type: 'preemption.heldUp', requests, blocks, waitedMs: this.#options.budgets.preemptionToldAfterMs };
  }

  /** Gives up what has not been sent, of these requests or of all: the server knows nothing of it. */
  withdrawUnsent(message: string, requestIds?: readonly string[]): void {
    this.#saves.withdraw({ kind: 'unreachable', message }, requestIds && new Set(requestIds));
  }

  abandonAll(): void {
    this.withdrawUnsent('the connector was stopped');
    this.proofs[Symbol.dispose]();
    this.#fencer[Symbol.dispose]();
    for (const transfer of this.#transfers) {
      transfer.abandon({ kind: 'unreachable', message: 'the connector was stopped' });
    }
  }

  #countRefused(kind: 'load' | 'save'): void {
    this.stats[`${kind}s`].refused += 1;
    this.#options.observer.ended({ kind, outcome: 'refused', tookMs: 0 });
  }

  /** How long something has been held without a break. */
  #timeHeld(): void {
    if (this.quarantine.held === undefined) {
      this.#cancelHeldLong?.();
      this.#cancelHeldLong = null;
      return;
    }
    this.#cancelHeldLong ??= ioFirstTimer(this.#options.budgets.heldToldAfterMs, () => {
      this.#tellStuck();
      this.#tellHeldUnprovably();
    });
  }

  /** Neither an audit nor a ping shows that work has no end. */
  #tellStuck(): void {
    const stuck = this.#transfers.filter(({ isStuck }) => isStuck);
    if (stuck.length === 0) return;
    const loads = stuck.filter(({ subject }) => subject.kind === 'load').length;
    const blocks = stuck.reduce((sum, { subject }) => sum + subject.blockIds.length, 0);
    this.#options.onEvent({ type: 'transfers.stuck', loads, saves: stuck.length - loads, blocks });
  }

  /** Of a registration whose server was not seen, also where another one is known to be in its place. */
  #tellHeldUnprovably(): void {
    const held = this.#transfers.filter(({ isSuspected, death }) => isSuspected && death.unprovable !== null);
    const [first] = held;
    if (!first?.death.unprovable) return;
    const blocks = held.reduce((sum, { subject }) => sum + subject.blockIds.length, 0);
    this.#options.onEvent({ type: 'blocks.heldUnprovably', blocks, proof: first.death.unprovable });
  }

  /** Once for all that a lost link leaves behind. */
  #tellHeldSoon(): void {
    if (this.#isHeldChangeDue) return;
    this.#isHeldChangeDue = true;
    queueMicrotask(() => {
      this.#isHeldChangeDue = false;
      this.#options.onChange();
    });
  }

  get #transfers(): Transfer[] {
    return [...this.#loads.transfers, ...this.#saves.transfers];
  }

  #inDoubtOf(registeredIn: Epoch): Transfer[] {
    return this.#transfers.filter((transfer) => transfer.isInDoubt && this.#isOf(transfer, registeredIn));
  }

  #isOf(transfer: Transfer, registeredIn: Epoch): boolean {
    const epoch = this.#registeredIn.get(transfer);
    return epoch !== undefined && isSameEpoch(epoch, registeredIn);
  }

  #doubts(): Doubts[] {
    const epochs: Epoch[] = [];
    for (const transfer of this.#transfers) {
      const epoch = transfer.isInDoubt ? this.#registeredIn.get(transfer) : undefined;
      if (epoch !== undefined && !epochs.some((one) => isSameEpoch(one, epoch))) epochs.push(epoch);
    }
    return epochs.map((registeredIn) => {
      const open = this.#inDoubtOf(registeredIn).filter((transfer) => !this.#passed.has(transfer));
      const loads = open.filter(({ subject }) => subject.kind === 'load');
      const acceptedLoads = loads.filter((transfer) => this.#loads.isAccepted(transfer)).length;
      return {
        registeredIn,
        saves: open.length - loads.length,
        acceptedLoads,
        otherLoads: loads.length - acceptedLoads,
      };
    });
  }

  /** The server copies no more for that registration, so an answer that is still on its way changes nothing either. */
  #prove(registeredIn: Epoch): void {
    for (const transfer of this.#transfers) {
      if (!transfer.isSuspected || !this.#isOf(transfer, registeredIn)) continue;
      if (transfer.subject.kind === 'load') this.#loads.proveOver(transfer);
      else {
        const fault = { kind: 'unreachable', message: 'the registration that it belonged to is gone' } as const;
        transfer.fail(fault, 'threadsGone');
      }
    }
  }

  /** Why nothing was sent, or `null`. */
  #tryLoading(intent: LoadIntent, life: TransferLife): string | null {
    const service = this.#options.service();
    if (service === null) return 'not connected';
    if (!isSameEpoch(intent.epoch, service.epoch)) {
      this.stats.fencedLoads += 1;
      this.#options.observer.refusedStaleLease();
      return 'the lease is of another epoch';
    }
    const { rank, connection } = this.#options;
    const layers = this.#options.layersIn(service.registeredIn);
    const impossible = intent.leases.map((leased) => impossibleTarget(leased, layers)).find((why) => why !== null);
    if (impossible !== undefined) return impossible;
    const touched = intent.leases.map(({ groupId, blockIds }) => ({
      groupId,
      blockIds: blockIds.filter((id) => id !== null),
      ofBlocks: blocksIn(groupId, layers),
    }));
    const obstacle = this.#inUse.obstacle('load', touched);
    if (obstacle !== null) return obstacle;
    const leave = this.#inUse.use('load', touched);
    const events = this.#eventsOf(service, touched, (outcome) => {
      leave();
      const error = outcome.kind === 'failed' ? failedLoad(intent, outcome.fault.message) : null;
      life.end(error);
    });
    try {
      this.#loads.start(connection.server, { ...rank, layers }, intent, events);
      return null;
    } catch (error) {
      leave();
      const fault = faultFrom(error);
      this.work.failed('load', intent.requestId, fault);
      return fault.message;
    }
  }

  /** Why nothing was sent, or `null`. */
  #trySaving(intent: SaveIntent, life: TransferLife): string | null {
    const { rank, connection, layersIn } = this.#options;
    const service = this.#options.service();
    if (service === null || !connection.isUp) return 'not connected';
    if (!isSameEpoch(intent.epoch, service.epoch)) return 'the save is of another epoch';
    const layers = layersIn(service.registeredIn);
    const impossible = impossibleBlockId(intent, layers);
    if (impossible !== null) return impossible;
    const { server } = connection;
    const obstacle = this.#saves.obstacleAt(server);
    if (obstacle !== null) {
      this.work.refused('save', intent.requestId, obstacle);
      return obstacle.message;
    }
    const { groupId, blockIds } = intent;
    const touched = [{ groupId, blockIds, ofBlocks: blocksIn(groupId, layers) }];
    const conflict = this.#inUse.obstacle('save', touched);
    if (conflict !== null) return conflict;
    const leave = this.#inUse.use('save', touched);
    const events = this.#eventsOf(service, touched, () => {
      leave();
      life.end();
    });
    const { death } = server;
    let trustAgain = () => {};
    this.#saves.start(server, { ...rank, layers }, intent, {
      ...events,
      releasedUnsafely: (release) => {
        trustAgain = this.unsafeSaves.add(death, intent.blockHashes);
        events.releasedUnsafely(release);
      },
      refusedAfterRelease: () => trustAgain(),
    });
    return null;
  }

  #eventsOf(
    { registeredIn }: RankService,
    touched: readonly GroupBlocks[],
    ended: (outcome: TransferOutcome) => void,
  ): TransferEvents {
    const { onDoubt, onUnsafeRelease, observer } = this.#options;
    return {
      ended: (outcome, subject, tookMs) => {
        const { kind, blockIds } = subject;
        if (this.quarantine.leave(subject, outcome.by)) observer.leftQuarantine(kind, blockIds.length, outcome.by);
        this.#timeHeld();
        this.stats[`${kind}s`][outcome.kind] += 1;
        observer.ended({ kind, outcome: outcome.kind, tookMs });
        if (outcome.kind === 'succeeded') this.work.succeeded(kind);
        else this.work.failed(kind, subject.requestId, outcome.fault);
        ended(outcome);
        this.proofs.review();
      },
      begun: (transfer) => this.#registeredIn.set(transfer, registeredIn),
      doubted: () => this.proofs.review(),
      overtook: (earlier) => {
        for (const transfer of earlier) if (this.#isOf(transfer, registeredIn)) this.#passed.add(transfer);
      },
      refused: (fault) => onDoubt({ fault, isRefutation: false, registeredIn }),
      refuted: (fault) => onDoubt({ fault, isRefutation: true, registeredIn }),
      inDoubt: (subject) => {
        this.quarantine.enter(subject, touched);
        observer.quarantined(subject.kind, subject.blockIds.length);
        this.#fencer.review();
        this.#tellHeldSoon();
        this.#timeHeld();
      },
      releasedUnsafely: (release) => {
        this.stats.unsafeReleases += 1;
        const { kind, blockIds, ageMs, reason } = release;
        observer.releasedUnsafely({ kind, blocks: blockIds.length, ageMs, reason });
        for (const { requestIds, unsafe } of this.#preemptions) {
          if (requestIds.has(release.requestId)) unsafe.add(release.requestId);
        }
        onUnsafeRelease(release);
      },
      refusedAfterRelease: () => {},
    };
  }
}

/** As {@link impossibleBlockId}; a block of a load may have no destination, which is `null`. */
function impossibleTarget({ groupId, blockIds }: LeasedBlocks, layers: readonly KvCacheLayer[]): string | null {
  return impossibleBlockId({ groupId, blockIds: blockIds.filter((id) => id !== null) }, layers);
}

/** Why these ids cannot be sent, or `null`. The server would copy the wrong bytes, or fail long after it accepted. */
function impossibleBlockId(
  { groupId, blockIds }: { readonly groupId: number; readonly blockIds: readonly number[] },
  layers: readonly KvCacheLayer[],
): string | null {
  const numBlocks = blocksIn(groupId, layers);
  // Also where a host's message lost an id on its way: JSON makes null of what is no number.
  const at = blockIds.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < numBlocks));
  return at === -1 ? null : `block id ${blockIds[at]} is not one of ${numBlocks} blocks`;
}

function blocksIn(groupId: number, layers: readonly KvCacheLayer[]): number {
  const ofGroup = layers.filter((layer) => (layer.groupId ?? 0) === groupId);
  return Math.min(...ofGroup.map(({ numBlocks }) => numBlocks));
}

function failedLoad(intent: LoadIntent, reason: string): FailedLoad {
  const groupIds = intent.leases.map(({ groupId }) => groupId);
  return { requestId: intent.requestId, groupIds, blockIds: destinationsOf(intent), reason };
}
