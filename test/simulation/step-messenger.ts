import type { RankReport } from '../../machines/index.ts';
import type { ConnectorMetadata, FinishedTransfers } from '../../src/connector/index.ts';
import type { SimulatedProcess } from './event-loop.ts';
import type { Instance, Rank } from './instance.ts';
import type { Kernel } from './kernel.ts';
import type { Random } from './random.ts';

/** What one rank says after a step. */
export interface RankOutput extends FinishedTransfers {
  readonly failedLoads: readonly string[];
  readonly isIdle: boolean;
}

/** One step of the host, as a rank is told of it. */
export interface StepOrder {
  readonly metadata: ConnectorMetadata;
  /** Metadata of an earlier step that comes again. */
  readonly repeated: ConnectorMetadata | null;
  readonly finishedIds: readonly string[];
  readonly preemptedIds: readonly string[];
  /** Whether the scheduler that ordered it still lives. */
  readonly isCurrent: () => boolean;
  readonly hear: (output: RankOutput) => void;
}

/** Milliseconds that a message between processes takes; sometimes the host takes its time. */
const CARRIED_MS = { from: 0.05, usually: 2, seldom: 300 };

/** More than may wait to be sent. */
const SAVES_KEPT = 200;

interface MadeReport {
  readonly report: RankReport;
  readonly madeMs: number;
}

/** Carries steps to ranks and what they say back, across processes, with the announcements and reports in them. */
export class StepMessenger {
  #kernel: Kernel;
  #random: Random;
  #instance: Instance;
  #lastReports = new Map<number, MadeReport>();
  /** The last word of the process that each rank was before. */
  #formerReports = new Map<number, MadeReport>();

  constructor(kernel: Kernel, random: Random, instance: Instance) {
    this.#kernel = kernel;
    this.#random = random;
    this.#instance = instance;
  }

  order(rank: Rank, order: StepOrder): void {
    this.#carry(rank.process, () => {
      if (this.#isWanted(rank, order)) this.#preempt(rank, order);
    });
  }

  #preempt(rank: Rank, order: StepOrder): void {
    if (order.preemptedIds.length === 0) {
      this.#execute(rank, order);
      return;
    }
    // Whoever carries everything in steps carries it otherwise while one waits: the proof it waits for may need a generation.
    const part = this.#isPulled ? this.#instance.join(rank) : () => {};
    // Meanwhile another scheduler may be followed, whose news nobody would hear who waits for this step.
    void rank.worker.handlePreemptions(order.preemptedIds).then(() => {
      part();
      if (this.#isWanted(rank, order)) this.#execute(rank, order);
    });
  }

  #isWanted(rank: Rank, { isCurrent }: StepOrder): boolean {
    return isCurrent() && this.#instance.ranks[rank.index] === rank;
  }

  #execute(rank: Rank, { metadata, repeated, finishedIds, isCurrent, hear }: StepOrder): void {
    const { worker } = rank;
    // What a host repeats or loses of it costs time only; its loads and saves come once.
    if (this.#isPulled && !this.#random.chance(0.1)) worker.acceptMetadata(metadata);
    const isKnown = repeated !== null && rank.followed.has(repeated.announcement.epoch.schedulerBootId);
    if (this.#isPulled && isKnown) worker.acceptMetadata(repeated);
    worker.startLoad(metadata.loads);
    rank.handedSaves.push(...metadata.saves);
    if (rank.handedSaves.length > SAVES_KEPT) rank.handedSaves.splice(0, rank.handedSaves.length - SAVES_KEPT);
    worker.save(metadata.saves);
    const failedLoads = worker.takeLoadErrors(metadata).map(({ requestId }) => requestId);
    const { loaded, saved } = worker.takeFinished(finishedIds, metadata);
    const report = worker.takeReport();
    const madeMs = this.#kernel.loop.nowMs;
    this.#carry(this.#instance.schedulerProcess, () => {
      if (!isCurrent()) return;
      if (this.#isPulled) this.#acceptReport({ report, madeMs });
      hear({ loaded, saved, failedLoads, isIdle: report.idle });
    });
  }

  /** Reports are lost, and come again when newer ones were heard, also those of a process that is gone. */
  #acceptReport(made: MadeReport): void {
    const { rank } = made.report;
    const last = this.#lastReports.get(rank);
    if (last !== undefined && last.report.workerBootId !== made.report.workerBootId)
      this.#formerReports.set(rank, last);
    this.#lastReports.set(rank, made);
    if (!this.#random.chance(0.1)) this.#instance.accept(made.report, made.madeMs);
    const repeated = this.#random.pick([last, this.#formerReports.get(rank)]);
    if (repeated !== undefined && this.#random.chance(0.1)) this.#instance.accept(repeated.report, repeated.madeMs);
  }

  #carry(to: SimulatedProcess, deliver: () => void): void {
    const longestMs = this.#random.chance(0.1) ? CARRIED_MS.seldom : CARRIED_MS.usually;
    const delayMs = this.#instance.isOneProcess ? 0 : this.#random.between(CARRIED_MS.from, longestMs);
    this.#kernel.loop.schedule(to, delayMs, 'io', deliver);
  }

  get #isPulled(): boolean {
    return this.#instance.shape.embedding === 'pulled';
  }
}
