import { Code } from '@connectrpc/connect';
import type {
  LoadRequest,
  QueryRequest,
  QueryResponse,
  ReleaseRequest,
  SaveRequest,
} from '../gen/pegaflow/engine_pb.ts';
import { BlockStore, type MemoryCleanup } from './cache/block-store.ts';
import { InsertionQueue } from './cache/insertion-queue.ts';
import { LeaseTable } from './cache/lease-table.ts';
import { QueryDesk } from './cache/query.ts';
import type { Call } from './call.ts';
import { EngineError } from './engine-error.ts';
import type { EngineLog } from './engine-log.ts';
import type { EngineMetrics } from './engine-metrics.ts';
import type { FaultBoard } from './faults.ts';
import { InstanceStore } from './registration/instances.ts';
import { Registrations } from './registration/registrations.ts';
import { type OpenTensor, TensorRegistry } from './registration/tensor-registry.ts';
import { behaviourOf } from './server-version.ts';
import type { EngineClock } from './timing/engine-clock.ts';
import { EngineTimers } from './timing/engine-timers.ts';
import type { StartCopyThread } from './transfers/copy-queue.ts';
import { checkLeaseId, type LoadStateHandle, Transfers } from './transfers/transfers.ts';

const LEASE_SWEEP_INTERVAL_MS = 30_000;
const GARBAGE_INTERVAL_MS = 60_000;
/** Partial blocks and prefetch tasks are dropped when they are older. */
const GARBAGE_AGE_MS = 300_000;

/** Everything that the engine needs from outside; with a simulated clock and memory it runs in a simulation. */
export interface EngineDependencies {
  readonly clock: EngineClock;
  readonly randomBytes: (sizeBytes: number) => Uint8Array;
  readonly openTensor: OpenTensor;
  readonly startCopyThread: StartCopyThread;
  readonly attachLoadState: (name: string) => LoadStateHandle;
  readonly faults: FaultBoard;
  readonly log: EngineLog;
  readonly metrics: EngineMetrics;
  readonly poolSizeBytes: number;
  readonly leaseTtlMs: number;
  /** The version that clients must have, and whose behaviour this is. */
  readonly version: string;
  readonly isAllocationBlockwise: boolean;
  /** Milliseconds between the answer to a Save and its visibility, beyond one turn of the clock. */
  readonly insertDelayMs: number;
  readonly isLoadSizeUnchecked: boolean;
}

/** What the server does, without a network: messages in, answers or refusals out. */
export class Engine {
  readonly registrations: Registrations;
  readonly #registry: TensorRegistry;
  readonly #instances: InstanceStore;
  readonly #blocks: BlockStore;
  readonly #leases: LeaseTable;
  readonly #queries: QueryDesk;
  readonly #transfers: Transfers;
  readonly #timers: EngineTimers;

  constructor(dependencies: EngineDependencies) {
    const { clock, faults, log, metrics, startCopyThread, version } = dependencies;
    const timers = new EngineTimers(clock);
    const unmapDelayMs = () => faults.switches.copyAfterCloseMs ?? 0;
    const registry = new TensorRegistry({ openTensor: dependencies.openTensor, unmapDelayMs, timers });
    const instances = new InstanceStore(log);
    const { poolSizeBytes, isAllocationBlockwise, isLoadSizeUnchecked } = dependencies;
    const { isPoolSizeClassed } = behaviourOf(version);
    const blocks = new BlockStore({ poolSizeBytes, isPoolSizeClassed, clock, metrics });
    const delayMs = () => faults.switches.insertDelayMs ?? dependencies.insertDelayMs;
    const insertion = new InsertionQueue({ blocks, clock, log, metrics, delayMs });
    const { attachLoadState, leaseTtlMs: ttlMs, randomBytes } = dependencies;
    const leases = new LeaseTable({ blocks, clock, randomBytes, ttlMs });
    const loadingAnswers = () => faults.switches.answerLoading ?? 0;
    const queries = new QueryDesk({ instances, blocks, leases, clock, metrics, loadingAnswers });
    const stores = { registry, instances, leases };
    this.registrations = new Registrations({ ...stores, clock, faults, log, startCopyThread, version });
    this.#registry = registry;
    this.#instances = instances;
    this.#blocks = blocks;
    this.#leases = leases;
    this.#queries = queries;
    this.#transfers = new Transfers({
      instances,
      blocks,
      insertion,
      leases,
      clock,
      log,
      metrics,
      attachLoadState,
      isAllocationBlockwise,
      isLoadSizeUnchecked,
    });
    this.#timers = timers;
    timers.every(LEASE_SWEEP_INTERVAL_MS, () => leases.sweep());
    timers.every(GARBAGE_INTERVAL_MS, () => {
      insertion.collectGarbage(GARBAGE_AGE_MS);
      queries.collectGarbage(GARBAGE_AGE_MS);
    });
  }

  get instanceIds(): string[] {
    return this.#instances.ids;
  }

  save(request: SaveRequest, call: Call): Promise<void> {
    return this.#transfers.save(request, call);
  }

  load(request: LoadRequest): void {
    this.#transfers.load(request);
  }

  queryPrefetch(request: QueryRequest): QueryResponse {
    return this.#queries.query(request);
  }

  release({ lease }: ReleaseRequest): void {
    checkLeaseId(lease);
    if (!this.#leases.release(lease)) {
      throw new EngineError(Code.FailedPrecondition, 'query lease is unknown or expired');
    }
  }

  /** Peer-to-peer transfer needs RDMA, which this engine never has. */
  refuseTransfer(): never {
    throw new EngineError(Code.FailedPrecondition, 'RDMA transfer engine is not configured');
  }

  cleanupMemory(): MemoryCleanup {
    this.#leases.sweep();
    return this.#blocks.evictAll();
  }

  /** Loads that end from now on are not reported any more: the part of dying that clients can see. */
  silence(): void {
    this.#transfers.silence();
  }

  /** Unmaps all memory and stops all timers, as the end of a process does. Nothing may be called afterwards. */
  close(): void {
    this.silence();
    this.#timers[Symbol.dispose]();
    this.#registry.close();
  }
}
