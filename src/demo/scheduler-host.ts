/**
 * The scheduler's process: it owns the scheduler connector and the GPU's block ids, spawns one worker process per
 * rank, and serves several requests at a time in steps, as vLLM's engine core does.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Announcement } from '../../machines/index.ts';
import { SchedulerConnector } from '../connector/index.ts';
import { wallTimeMs } from '../wall-time.ts';
import { AwaitedEnds } from './awaited-ends.ts';
import { BlockPool } from './block-pool.ts';
import { within } from './deadline.ts';
import { forwardFeed } from './forward-feed.ts';
import { endHost } from './host-end.ts';
import { type Child, forkHost, parentChannel } from './ipc.ts';
import type { DemoEvent } from './journal.ts';
import type {
  BlockContents,
  FromScheduler,
  FromWorker,
  RankEnds,
  RankOutput,
  Step,
  ToScheduler,
  ToWorker,
} from './messages.ts';
import type { RankLayout } from './models.ts';
import { RankAggregate } from './rank-aggregate.ts';
import { RankDebts } from './rank-debts.ts';
import { type IncomingRequest, type Serving, serveRequest } from './serve-request.ts';
import { processNames, TELEMETRY_ENV } from './telemetry.ts';
import { describeTransition } from './transition-line.ts';

type Start = Extract<ToScheduler, { readonly type: 'start' }>;
type Worker = Child<FromWorker, ToWorker>;

/** How long the workers may take to stop before they are killed, in milliseconds. */
const WORKER_STOP_TIMEOUT_MS = 5_000;

const channel = parentChannel<ToScheduler, FromScheduler>();

class SchedulerHost implements Serving {
  readonly pool: BlockPool;
  readonly #connector: SchedulerConnector;
  readonly #workers: Worker[];
  readonly #debts: readonly RankDebts[];
  readonly #lostRank: Start['lostRank'];
  readonly #decodeMs: number;
  readonly #aggregate: RankAggregate;
  readonly #loads = new AwaitedEnds<boolean>();
  readonly #computations = new AwaitedEnds<void>();
  readonly #holds = new AwaitedEnds<void>();
  readonly #failedLoads = new Set<string>();
  readonly #workerStops = new AwaitedEnds<string | null>();
  readonly #startWorker: (rank: RankLayout) => Worker;
  #announcement: Announcement | null = null;
  #isStopping = false;
  #expected: BlockContents[] = [];
  #computed: BlockContents[] = [];
  #finished: string[] = [];
  #stepDue = false;
  #queries = 0;

  constructor({ server, layout, device, transitions, fed, lostRank, decodeMs }: Start) {
    const worldSize = layout.ranks.length;
    this.#lostRank = lostRank;
    this.#decodeMs = decodeMs;
    this.#debts = layout.ranks.map(() => new RankDebts());
    this.pool = new BlockPool(layout.numBlocks);
    this.#aggregate = new RankAggregate(worldSize);
    this.#connector = new SchedulerConnector({
      ...server,
      tpSize: layout.ranks[0]?.effectiveTpSize ?? worldSize,
      worldSize,
      ...(transitions
        ? { inspect: describeTransition('scheduler', (line) => channel.send({ type: 'transition', line })) }
        : {}),
    });
    if (fed) forwardFeed(this.#connector, (record) => channel.send({ type: 'fed', record }));
    this.#startWorker = (rank) => {
      const worker: Worker = forkHost('worker-host', {
        ownGroup: false,
        env: { [TELEMETRY_ENV.processName]: processNames.rank(rank.rank) },
      });
      worker.onMessage((message) => this.#hear(worker, message));
      worker.send({ type: 'start', server, rank, worldSize, device, transitions, fed, verifiesTwice: decodeMs > 0 });
      void worker.exited.then((how) => this.#missWorker(worker, rank, how));
      return worker;
    };
    this.#workers = layout.ranks.map(this.#startWorker);
    this.#connector.onAnnounce((announcement) => {
      this.#announcement = announcement;
      this.#tellAll({ type: 'announce', announcement });
    });
    this.#connector.onStatus(({ path, fault }) => {
      const machine = 'scheduler';
      this.record({ type: 'status.changed', atMs: wallTimeMs(), machine, path, fault: fault?.message ?? null });
    });
    this.#tellPids();
    this.#connector.start();
  }

  record(event: DemoEvent): void {
    channel.send({ type: 'happened', event });
  }

  serve(request: IncomingRequest): void {
    const { requestId, blockHashes } = request;
    this.record({ type: 'request.arrived', atMs: wallTimeMs(), requestId, blocks: blockHashes.length });
    void serveRequest(request, this);
  }

  async query({ requestId, blockHashes }: IncomingRequest) {
    this.#queries += 1;
    const queryId = this.#queries;
    this.record({ type: 'query.sent', atMs: wallTimeMs(), requestId, queryId });
    const outcome = await this.#connector.query({ requestId, blockHashes });
    const blocks = outcome.kind === 'hit' ? outcome.blocks : 0;
    const reason = outcome.kind === 'miss' ? outcome.reason : null;
    const result = outcome.kind;
    this.record({ type: 'query.answered', atMs: wallTimeMs(), requestId, queryId, result, blocks, reason });
    return outcome;
  }

  releaseHit(requestId: string): void {
    this.#connector.release(requestId);
  }

  load(contents: BlockContents): Promise<boolean> | null {
    if (!this.#connector.scheduleLoad(contents.requestId, contents.blockIds)) return null;
    this.#expected.push(contents);
    this.#stepSoon();
    return this.#loads.next(contents.requestId);
  }

  computeAndSave(contents: BlockContents): Promise<void> {
    this.#connector.scheduleSave(contents);
    this.#computed.push(contents);
    this.#stepSoon();
    return this.#computations.next(contents.requestId);
  }

  async decode(): Promise<void> {
    if (this.#decodeMs > 0) await pause(Math.random() * this.#decodeMs);
  }

  finish(requestId: string): Promise<void> | null {
    const isHeld = this.#connector.requestFinished(requestId);
    this.#finished.push(requestId);
    this.#stepSoon();
    return isHeld ? this.#holds.next(requestId) : null;
  }

  /** Stops the connector first, while the workers can still report, then the workers. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const outcome = await this.#connector.stop();
    const complaints = [outcome.kind === 'clean' ? null : `scheduler: ${outcome.reason}`];
    const stops = this.#workers.map(({ pid }) => this.#workerStops.next(String(pid)));
    this.#tellAll({ type: 'stop' });
    const answers = await Promise.all(
      stops.map((stop) => within(WORKER_STOP_TIMEOUT_MS, stop, 'did not stop in time')),
    );
    for (const [rank, answer] of answers.entries()) if (answer !== null) complaints.push(`rank ${rank}: ${answer}`);
    await this.#endWorkers();
    const complaint = complaints.filter((text) => text !== null).join('; ');
    channel.send({ type: 'stopped', complaint: complaint === '' ? null : complaint });
  }

  async #endWorkers(): Promise<void> {
    await Promise.all(
      this.#workers.map(async (worker) => {
        if (worker.process.connected) worker.process.disconnect();
        const ended = await within(WORKER_STOP_TIMEOUT_MS, worker.exited, null);
        if (ended !== null) return;
        worker.process.kill('SIGKILL');
        await worker.exited;
      }),
    );
  }

  #missWorker(worker: Worker, rank: RankLayout, how: string): void {
    this.#workerStops.settle(String(worker.pid), `ended by itself: ${how}`);
    if (this.#isStopping) return;
    if (this.#lostRank === 'replaced') this.#replaceWorker(rank);
    else channel.send({ type: 'failed', reason: `rank ${rank.rank} ended by itself: ${how}` });
  }

  /** Its memory is gone, so nothing that the process had under way can touch the new one's. */
  #replaceWorker(rank: RankLayout): void {
    const worker = this.#startWorker(rank);
    this.#workers[rank.rank] = worker;
    this.#tellPids();
    if (this.#announcement !== null) worker.send({ type: 'announce', announcement: this.#announcement });
    this.#acceptEnds(this.#debts[rank.rank]?.forfeit());
  }

  #tellPids(): void {
    channel.send({ type: 'started', pids: this.#workers.map(({ pid }) => pid) });
  }

  #hear(worker: Worker, message: FromWorker): void {
    // Words that a process left behind in its channel: its debts were forfeited.
    if (!this.#workers.includes(worker)) return;
    if (message.type === 'report') this.#connector.acceptReport(message.report);
    else if (message.type === 'output') this.#accept(message.output);
    else if (message.type === 'stopped') this.#workerStops.settle(String(worker.pid), message.complaint);
    else channel.send(message);
  }

  #accept(output: RankOutput): void {
    this.#connector.acceptReport(output.report);
    this.#debts[output.rank]?.settle(output);
    this.#acceptEnds(output);
  }

  #acceptEnds(ends: RankEnds | undefined): void {
    if (ends === undefined) return;
    const { loaded, saved, failedLoads, computed } = this.#aggregate.add(ends);
    for (const requestId of failedLoads) this.#failedLoads.add(requestId);
    const ended = this.#connector.acceptFinished({ loaded, saved, failedLoads });
    for (const requestId of ended.loaded) {
      const succeeded = !this.#failedLoads.delete(requestId);
      this.record({ type: 'load.ended', atMs: wallTimeMs(), requestId, succeeded });
      this.#loads.settle(requestId, succeeded);
    }
    for (const requestId of ended.saved) {
      this.record({ type: 'request.freed', atMs: wallTimeMs(), requestId });
      this.#holds.settle(requestId);
    }
    for (const requestId of computed) this.#computations.settle(requestId);
  }

  /** Everything that becomes due in one turn of the event loop goes into one step. */
  #stepSoon(): void {
    if (this.#stepDue) return;
    this.#stepDue = true;
    setImmediate(() => this.#step());
  }

  #step(): void {
    this.#stepDue = false;
    const step: Step = {
      metadata: this.#connector.buildMetadata(),
      expected: this.#expected,
      computed: this.#computed,
      finishedRequestIds: this.#finished,
    };
    this.#expected = [];
    this.#computed = [];
    this.#finished = [];
    this.#tellAll({ type: 'step', step });
    for (const debts of this.#debts) this.#acceptEnds(debts.incur(step));
  }

  #tellAll(message: ToWorker): void {
    for (const worker of this.#workers) worker.send(message);
  }
}

let host: SchedulerHost | null = null;

channel.onMessage((message) => {
  if (message.type === 'start') host = new SchedulerHost(message);
  else if (message.type === 'request') host?.serve(message);
  else void host?.stop();
});

channel.onClosed(() => void endHost());
