import { type Budgets, type Epoch, isSameEpoch, type RankReport } from '../../machines/index.ts';
import {
  type ConnectorStatus,
  type Fencing,
  type KvCacheLayer,
  type SaveIntent,
  SchedulerConnector,
  type UnsafeRelease,
  WorkerConnector,
} from '../../src/connector/index.ts';
import { BLOCK_BYTES } from './content.ts';
import type { Coverage, MachineName } from './coverage.ts';
import { DeviceMemory, type TouchListener } from './device-memory.ts';
import type { SimulatedProcess } from './event-loop.ts';
import { distrustedIn, hearingOf } from './hearing.ts';
import type { Kernel } from './kernel.ts';
import { Violation } from './violation.ts';

/**
 * How the roles are joined: `pushed` inside one process; `perRole` by a channel between one process for each role;
 * `pulled` between processes by the steps of the host alone, as in vLLM.
 */
export type Embedding = 'pushed' | 'perRole' | 'pulled';

export interface InstanceShape {
  readonly instanceId: string;
  readonly namespace: string;
  readonly port: number;
  readonly worldSize: number;
  readonly layers: number;
  readonly blocks: number;
  readonly embedding: Embedding;
  readonly budgets: Budgets;
  readonly direct: boolean;
  readonly fencing: Fencing;
}

export interface Rank {
  readonly index: number;
  readonly process: SimulatedProcess;
  readonly worker: WorkerConnector;
  readonly workerBootId: string;
  readonly memories: readonly DeviceMemory[];
  /** Epochs in which the server told this very process that it is registered. */
  readonly confirmed: Epoch[];
  /** The newest saves that it was told to make. */
  readonly handedSaves: SaveIntent[];
  /** Names of the hashes that it has told not to use, whoever heard it. */
  readonly said: Set<string>;
  /** Boot ids of the schedulers that it has followed; the last is the present one. */
  readonly followed: Set<string>;
}

/** One inference replica: a scheduler and its ranks, each in its process. */
export class Instance {
  readonly shape: InstanceShape;
  readonly ranks: Rank[] = [];
  /** Those that have told of blocks that nothing but an answer frees. */
  readonly toldUnprovable = new WeakSet<Rank>();
  scheduler!: SchedulerConnector;
  schedulerProcess!: SimulatedProcess;
  /** Between a scheduler's process and the one that takes its place. */
  isWithoutScheduler = true;
  /** Called when a scheduler's state or epoch changed. */
  onStatus: () => void = () => {};
  /** Called when a rank's state changed. */
  onRankStatus: (rank: Rank, status: Pick<ConnectorStatus, 'path' | 'fault'>) => void = () => {};
  /** Called when a machine came to a state; the rank's where it is one's. */
  onPath: (machine: MachineName, path: string, rank: number | null) => void = () => {};
  /** Called when a rank sends a save of one block that no request asked for. */
  onMarker: (rank: number, blockId: number) => void = () => {};
  onUnsafeRelease: (rank: Rank, release: UnsafeRelease) => void = () => {};
  #kernel: Kernel;
  #coverage: Coverage;
  #onTouch: TouchListener;

  constructor(kernel: Kernel, coverage: Coverage, shape: InstanceShape, onTouch: TouchListener) {
    this.#kernel = kernel;
    this.#coverage = coverage;
    this.shape = shape;
    this.#onTouch = onTouch;
  }

  get isOneProcess(): boolean {
    return this.shape.embedding === 'pushed';
  }

  get processes(): readonly SimulatedProcess[] {
    return [...new Set([this.schedulerProcess, ...this.ranks.flatMap(({ process }) => process)])];
  }

  /** Whether every rank has been started, in whatever order. */
  get isComplete(): boolean {
    return this.ranks.flat().length === this.shape.worldSize;
  }

  get isConnected(): boolean {
    const { state, epoch } = this.scheduler.status;
    const isUsable = ({ worker: { status } }: Rank) =>
      status.state === 'connected' && status.epoch !== null && epoch !== null && isSameEpoch(status.epoch, epoch);
    return state === 'connected' && this.ranks.every(isUsable);
  }

  start(): void {
    this.schedulerProcess = this.#kernel.loop.spawn(`${this.shape.instanceId} scheduler`);
    this.#kernel.loop.schedule(this.schedulerProcess, 0, 'io', () => this.#startScheduler());
    for (let index = 0; index < this.shape.worldSize; index++) this.startRank(index);
  }

  /** A new process in the place of the scheduler's. */
  replaceScheduler(onStarted: () => void): void {
    this.#kernel.kill(this.schedulerProcess);
    this.isWithoutScheduler = true;
    this.schedulerProcess = this.#kernel.loop.spawn(`${this.shape.instanceId} scheduler`);
    this.#kernel.loop.schedule(this.schedulerProcess, this.#kernel.random.between(0, 500), 'io', () => {
      this.#startScheduler();
      for (const rank of this.ranks) this.#join(rank);
      onStarted();
    });
  }

  startRank(index: number, onStarted: () => void = () => {}): void {
    const process = this.isOneProcess
      ? this.schedulerProcess
      : this.#kernel.loop.spawn(`${this.shape.instanceId} rank ${index}`);
    this.#kernel.loop.schedule(process, this.#kernel.random.between(0, 20), 'io', () => {
      const rank = this.#createRank(index, process);
      this.ranks[index] = rank;
      this.#join(rank);
      rank.worker.registerKvCaches(layersOf(rank));
      onStarted();
    });
  }

  /** Other memory in the place of a rank's, in the same process; whether it was idle, which it has to be. */
  replaceMemory(index: number): boolean {
    const rank = this.ranks[index]!;
    if (!rank.worker.takeReport().idle) return false;
    for (const memory of rank.memories) memory.isLeft = true;
    const memories = this.#allocate(index);
    rank.worker.registerKvCaches(layersOf({ memories }));
    const { workerBootId } = rank.worker.takeReport();
    const other = { ...rank, workerBootId, memories, confirmed: [] };
    this.ranks[index] = other;
    this.#join(other);
    return true;
  }

  #allocate(index: number): DeviceMemory[] {
    const { layers, blocks } = this.shape;
    const length = { length: layers };
    return Array.from(length, () => new DeviceMemory(this.#kernel, index, blocks, BLOCK_BYTES, this.#onTouch));
  }

  /** The scheduler hears a report; one that has only just begun to start hears nothing. */
  accept(report: RankReport, madeMs: number): void {
    if (this.isWithoutScheduler) return;
    hearingOf(this.scheduler).note(report, madeMs, this.#kernel.loop.nowMs);
    this.scheduler.acceptReport(report);
  }

  #startScheduler(): void {
    const { embedding: _e, layers: _l, blocks: _b, fencing: _f, port, ...shared } = this.shape;
    const scheduler = new SchedulerConnector({
      ...shared,
      endpoint: `http://127.0.0.1:${port}`,
      tpSize: shared.worldSize,
      inspect: this.#coverage.inspector('scheduler', (path) => {
        if (this.scheduler === scheduler) this.onPath('scheduler', path, null);
      }),
    });
    const { name } = this.schedulerProcess;
    this.scheduler = scheduler;
    this.isWithoutScheduler = false;
    scheduler.onStatus(({ path, epoch, fault }) => {
      if (this.scheduler !== scheduler) return;
      this.#kernel.journal.write(name, `${path} epoch ${epoch?.counter} ${fault?.message ?? ''}`);
      this.onStatus();
    });
    scheduler.start();
  }

  #createRank(index: number, process: SimulatedProcess): Rank {
    const { embedding: _e, layers: _l, blocks: _b, port, ...shared } = this.shape;
    const memories = this.#allocate(index);
    const worker = new WorkerConnector({
      ...shared,
      endpoint: `http://127.0.0.1:${port}`,
      tpSize: shared.worldSize,
      rank: index,
      tpRank: index,
      deviceId: index,
      inspect: this.#coverage.inspector('worker', (path) => this.onPath('worker', path, index)),
    });
    const { workerBootId } = worker.takeReport();
    const said = new Set<string>();
    const followed = new Set<string>();
    const rank: Rank = {
      index,
      process,
      worker,
      workerBootId,
      memories,
      confirmed: [],
      handedSaves: [],
      said,
      followed,
    };
    const name = `${shared.instanceId} rank ${index}`;
    worker.onStatus(({ path, epoch, fault }) => {
      this.onRankStatus(rank, { path, fault });
      this.#kernel.journal.write(name, `${path} epoch ${epoch?.counter} ${fault?.message ?? ''}`);
      const schedulerBootId = epoch?.schedulerBootId ?? null;
      if (schedulerBootId === null || [...followed].at(-1) === schedulerBootId) return;
      if (followed.has(schedulerBootId))
        this.#kernel.report(new Violation(3, `${name} obeys a scheduler that it had left`));
      followed.add(schedulerBootId);
    });
    worker.onEvent(({ type }) => {
      if (type === 'blocks.heldUnprovably') this.toldUnprovable.add(rank);
    });
    let released = 0;
    worker.onUnsafeRelease((release) => {
      released += 1;
      this.onUnsafeRelease(rank, release);
      if (worker.stats.unsafeReleases === released) return;
      this.#kernel.report(
        new Violation(5, `${name} counts ${worker.stats.unsafeReleases} of ${released} unsafe releases`),
      );
    });
    return rank;
  }

  /** Where the host's steps carry everything, the roles are joined by nothing else. */
  #join(rank: Rank): void {
    if (this.shape.embedding !== 'pulled') this.join(rank);
  }

  /** Joins the roles by the push forms until the function that comes back is called. */
  join(rank: Rank): () => void {
    const { scheduler, schedulerProcess } = this;
    const { worker, process } = rank;
    // The next scheduler joins all ranks when it starts.
    if (scheduler === undefined || this.isWithoutScheduler) return () => {};
    let hasParted = false;
    const isJoined = () => !hasParted && this.scheduler === scheduler && this.ranks[rank.index] === rank;
    const toScheduler = this.#channel(process, schedulerProcess);
    const toRank = this.#channel(schedulerProcess, process);
    let deafen = () => {};
    const listen = () => {
      if (hasParted) return;
      deafen = worker.onReport((report) => {
        const madeMs = this.#kernel.loop.nowMs;
        for (const name of distrustedIn(report)) rank.said.add(name);
        toScheduler(() => isJoined() && this.accept(report, madeMs));
      });
    };
    const { loop } = this.#kernel;
    // Whoever joins them: each moves in its own process, or its timers would outlive that.
    if (loop.current === process) listen();
    else loop.schedule(process, 0, 'io', listen);
    loop.schedule(schedulerProcess, 0, 'io', () => {
      if (isJoined())
        scheduler.onAnnounce((announcement) => toRank(() => isJoined() && worker.acceptAnnouncement(announcement)));
    });
    return () => {
      hasParted = true;
      deafen();
    };
  }

  /** One way between two processes, in order; within one process nothing but a call. */
  #channel(from: SimulatedProcess, to: SimulatedProcess): (deliver: () => void) => void {
    const { loop, random } = this.#kernel;
    let arrivalMs = 0;
    return (deliver) => {
      if (from === to) {
        deliver();
        return;
      }
      arrivalMs = Math.max(arrivalMs, loop.nowMs + random.between(0.05, 3));
      loop.schedule(to, arrivalMs - loop.nowMs, 'io', deliver);
    };
  }
}

function layersOf({ memories }: Pick<Rank, 'memories'>): KvCacheLayer[] {
  return memories.map((memory, layer) => ({
    name: `layer ${layer}`,
    wrapperBytes: memory.wrapperBytes,
    numBlocks: memory.bytes.length / memory.blockBytes,
    bytesPerBlock: memory.blockBytes,
    kvStrideBytes: 0,
    segments: 1,
  }));
}
