/** The scheduler of a soak: requests keep their blocks for a while, and a rank whose process ended is replaced. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Announcement } from '../../machines/index.ts';
import type { FromWorker, RankOutput, Step } from '../../src/demo/hosts/messages.ts';
import {
  runScheduler,
  type SchedulerChannel,
  SchedulerHost,
  type SchedulerStart,
  type WorkerProcess,
} from '../../src/demo/hosts/scheduler-host.ts';
import type { RankLayout } from '../../src/demo/model/models.ts';
import { RankDebts } from './rank-debts.ts';

/** The longest that a request keeps its blocks when they are full: so long that a late copy meets blocks in use. */
const LONGEST_DECODE_MS = 1_000;

class SoakSchedulerHost extends SchedulerHost {
  readonly #debts: readonly RankDebts[];
  #announcement: Announcement | null = null;

  constructor(channel: SchedulerChannel, start: SchedulerStart) {
    super(channel, start, new URL('./worker-host', import.meta.url));
    this.#debts = start.layout.ranks.map(() => new RankDebts());
    this.connector.onAnnounce((announcement) => {
      this.#announcement = announcement;
    });
  }

  override async decode(): Promise<void> {
    await pause(Math.random() * LONGEST_DECODE_MS);
  }

  /** Its memory is gone, so nothing that the process had under way can touch the new one's. */
  protected override missWorker(rank: RankLayout): void {
    const worker = this.startWorker(rank);
    this.tellPids();
    if (this.#announcement !== null) worker.send({ type: 'announce', announcement: this.#announcement });
    const debts = this.#debts[rank.rank];
    if (debts !== undefined) this.acceptEnds(debts.forfeit());
  }

  protected override hear(worker: WorkerProcess, message: FromWorker): void {
    // Words that a process left behind in its channel: its debts were forfeited.
    if (this.workers.includes(worker)) super.hear(worker, message);
  }

  protected override accept(output: RankOutput): void {
    this.#debts[output.rank]?.settle(output);
    super.accept(output);
  }

  protected override step(): Step {
    const step = super.step();
    for (const debts of this.#debts) this.acceptEnds(debts.incur(step));
    return step;
  }
}

runScheduler((channel, start) => new SoakSchedulerHost(channel, start));
