import { type Budgets, type Epoch, type Fault, faultFrom, isSameEpoch } from '../../machines/index.ts';
import type { RankIdentity } from '../actors/verify.ts';
import { patientTimer } from '../patient-timer.ts';
import type { Connection } from '../rpc/connection.ts';
import type { WorkerObserver } from '../telemetry/observers.ts';
import type { KvCacheLayer } from './kv-caches.ts';
import { destinationsOf, Loads } from './loads.ts';
import type { FailedLoad, LeasedBlocks, LoadIntent, SaveIntent } from './metadata.ts';
import { Quarantine } from './quarantine.ts';
import { Saves } from './saves.ts';
import type { Transfer, TransferEvents, TransferOutcome, UnsafeRelease } from './transfer.ts';
import { TransferLedger } from './transfer-ledger.ts';
import { UnsafeSaves } from './unsafe-saves.ts';

/** Counts since the start. `refused`: without an RPC: not in service, of another epoch, or impossible. */
export interface TransferStats {
  loads: Record<'succeeded' | 'failed' | 'refused', number>;
  saves: Record<'succeeded' | 'failed' | 'refused', number>;
  /** Loads among the refused ones whose lease belongs to another epoch. */
  fencedLoads: number;
  /** Transfers whose blocks were handed back without proof that the server is done with them. */
  unsafeReleases: number;
}

/** What transfers that begin now belong to. */
export interface RankService {
  readonly epoch: Epoch;
  /** The epoch in which the server took this rank's registration; a `keep` changes the former only. */
  readonly registeredIn: Epoch;
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
  readonly observer: WorkerObserver;
  /** This rank's layers, by the names that they have at the server in that epoch's registration. */
  readonly layersIn: (registeredIn: Epoch) => readonly KvCacheLayer[];
  /** `null`: not in service. */
  readonly service: () => RankService | null;
  readonly onDoubt: (doubt: Doubt) => void;
  readonly onUnsafeRelease: (release: UnsafeRelease) => void;
  /** Something ended, or is distrusted, that was not before. */
  readonly onNews: () => void;
}

/** The loads and saves of one rank: refused, under way, in quarantine, ended, each told once. */
export class RankTransfers {
  readonly stats: TransferStats = {
    loads: { succeeded: 0, failed: 0, refused: 0 },
    saves: { succeeded: 0, failed: 0, refused: 0 },
    fencedLoads: 0,
    unsafeReleases: 0,
  };
  readonly ledger: TransferLedger;
  readonly quarantine = new Quarantine();
  readonly unsafeSaves: UnsafeSaves;
  #options: RankTransfersOptions;
  #loads: Loads;
  #saves: Saves;

  constructor(options: RankTransfersOptions) {
    this.#options = options;
    this.ledger = new TransferLedger(options.onNews);
    this.unsafeSaves = new UnsafeSaves(options.onNews);
    this.#loads = new Loads(options.budgets);
    this.#saves = new Saves(options.budgets);
  }

  startLoad(intent: LoadIntent): void {
    this.ledger.beginLoad(intent.requestId);
    const reason = this.#tryLoading(intent);
    if (reason === null) return;
    this.#countRefused('load');
    this.ledger.endLoad(intent.requestId, failedLoad(intent, reason));
  }

  /** Why the save was refused at once, or `null`. */
  startSave(intent: SaveIntent): string | null {
    this.ledger.beginSave(intent.requestId);
    const reason = this.#trySaving(intent);
    if (reason === null) return null;
    this.#countRefused('save');
    this.ledger.endSave(intent.requestId);
    return reason;
  }

  /** Resolves when no transfer of these requests, or with no list of any, is under way, or at the end of the budget. */
  async settledWithin(timeoutMs: number, requestIds?: readonly string[]): Promise<void> {
    const budget = Promise.withResolvers<void>();
    const cancel = patientTimer(timeoutMs, budget.resolve);
    await Promise.race([this.ledger.settled(requestIds), budget.promise]);
    cancel();
  }

  /** Hands the blocks of these requests back although a transfer may still touch them; returns those that had one. */
  releaseUnsafely(requestIds: readonly string[], reason: string): string[] {
    const touched = this.#transfers.filter(({ subject }) => requestIds.includes(subject.requestId));
    for (const transfer of touched) transfer.releaseUnsafely(reason);
    const touchedIds = new Set(touched.map(({ subject }) => subject.requestId));
    return requestIds.filter((requestId) => touchedIds.has(requestId));
  }

  abandonAll(): void {
    for (const transfer of this.#transfers) {
      transfer.abandon({ kind: 'unreachable', message: 'the connector was stopped' });
    }
  }

  #countRefused(kind: 'load' | 'save'): void {
    this.stats[`${kind}s`].refused += 1;
    this.#options.observer.ended({ kind, outcome: 'refused', tookMs: 0 });
  }

  get #transfers(): Transfer[] {
    return [...this.#loads.transfers, ...this.#saves.transfers];
  }

  /** Why nothing was sent, or `null`. */
  #tryLoading(intent: LoadIntent): string | null {
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
    const events = this.#eventsOf(service, (outcome) => {
      const error = outcome.kind === 'failed' ? failedLoad(intent, outcome.fault.message) : null;
      this.ledger.endLoad(intent.requestId, error);
    });
    try {
      this.#loads.start(connection.server, { ...rank, layers }, intent, events);
      return null;
    } catch (error) {
      return faultFrom(error).message;
    }
  }

  /** Why nothing was sent, or `null`. */
  #trySaving(intent: SaveIntent): string | null {
    const { rank, connection, layersIn } = this.#options;
    const service = this.#options.service();
    if (service === null || !connection.isUp) return 'not connected';
    if (!isSameEpoch(intent.epoch, service.epoch)) return 'the save is of another epoch';
    const layers = layersIn(service.registeredIn);
    const impossible = impossibleBlockId(intent, layers);
    if (impossible !== null) return impossible;
    const { server } = connection;
    const events = this.#eventsOf(service, () => this.ledger.endSave(intent.requestId));
    this.#saves.start(server, { ...rank, layers }, intent, {
      ...events,
      releasedUnsafely: (release) => {
        this.unsafeSaves.add(server.death, intent.blockHashes);
        events.releasedUnsafely(release);
      },
    });
    return null;
  }

  #eventsOf({ registeredIn }: RankService, ended: (outcome: TransferOutcome) => void): TransferEvents {
    const { onDoubt, onUnsafeRelease, observer } = this.#options;
    return {
      ended: (outcome, subject, tookMs) => {
        const { kind, blockIds } = subject;
        if (this.quarantine.leave(subject, outcome.by)) observer.leftQuarantine(kind, blockIds.length, outcome.by);
        this.stats[`${kind}s`][outcome.kind] += 1;
        observer.ended({ kind, outcome: outcome.kind, tookMs });
        ended(outcome);
      },
      refused: (fault) => onDoubt({ fault, isRefutation: false, registeredIn }),
      refuted: (fault) => onDoubt({ fault, isRefutation: true, registeredIn }),
      suspected: (subject) => {
        this.quarantine.enter(subject);
        observer.quarantined(subject.kind, subject.blockIds.length);
      },
      releasedUnsafely: (release) => {
        this.stats.unsafeReleases += 1;
        const { kind, blockIds, ageMs, reason } = release;
        observer.releasedUnsafely({ kind, blocks: blockIds.length, ageMs, reason });
        onUnsafeRelease(release);
      },
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
  const ofGroup = layers.filter((layer) => (layer.groupId ?? 0) === groupId);
  const numBlocks = Math.min(...ofGroup.map((layer) => layer.numBlocks));
  // Also where a host's message lost an id on its way: JSON makes null of what is no number.
  const at = blockIds.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < numBlocks));
  return at === -1 ? null : `block id ${blockIds[at]} is not one of ${numBlocks} blocks`;
}

function failedLoad(intent: LoadIntent, reason: string): FailedLoad {
  const groupIds = intent.leases.map(({ groupId }) => groupId);
  return { requestId: intent.requestId, groupIds, blockIds: destinationsOf(intent), reason };
}
