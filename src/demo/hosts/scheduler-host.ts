/**
 * The scheduler's process: it owns the scheduler connector and the GPU's block ids, spawns one worker process per
 * rank, and serves several requests at a time in steps, as vLLM's engine core does.
 */

import { SchedulerConnector } from '../../connector/index.ts';
import { wallTimeMs } from '../../wall-time.ts';
import { within } from '../deadline.ts';
import type { DemoEvent } from '../journal.ts';
import type { RankLayout } from '../model/models.ts';
import { processNames, TELEMETRY_ENV } from '../telemetry.ts';
import { BlockPool } from './block-pool.ts';
import { forwardFeed } from './forward-feed.ts';
import { endHost } from './host-end.ts';
import { type Channel, type Child, forkHost, parentChannel } from './ipc.ts';
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
import { PendingById } from './pending-by-id.ts';
import { RankAggregate } from './rank-aggregate.ts';
import { type IncomingRequest, type Serving, serveRequest } from './serve-request.ts';
import { describeTransition } from './transition-line.ts';

export type SchedulerStart = Extract<ToScheduler, { readonly type: 'start' }>;
export type SchedulerChannel = Channel<ToScheduler, FromScheduler>;
export type WorkerProcess = Child<FromWorker, ToWorker>;

/** How long the workers may take to stop before they are killed, in milliseconds. */
const WORKER_STOP_TIMEOUT_MS = 5_000;

/** The module of a rank's process, without its extension. */
const WORKER_MODULE = new URL('./worker-process', import.meta.url);

export class SchedulerHost implements Serving {
  readonly pool: BlockPool;
  protected readonly connector: SchedulerConnector;
  /** In the order of the ranks. */
  protected readonly workers: WorkerProcess[] = [];
  protected readonly channel: SchedulerChannel;
  readonly #start: SchedulerStart;
  readonly #workerModule: URL;
  readonly #aggregate: RankAggregate;
  readonly #loads = new PendingById<boolean>();
  readonly #computations = new PendingById<void>();
  readonly #holds = new PendingById<void>();
  readonly #failedLoads = new Set<string>();
  readonly #workerStops = new PendingById<string | null>();
  #isStopping = false;
  #expected: BlockContents[] = [];
  #computed: BlockContents[] = [];
  #finished: string[] = [];
  #stepDue = false;
  #queries = 0;

  /** @param workerModule what each rank's process runs, without its extension */
  constructor(channel: SchedulerChannel, start: SchedulerStart, workerModule: URL = WORKER_MODULE) {
    const { server, layout, transitions, fed } = start;
    const worldSize = layout.ranks.length;
    this.channel = channel;
    this.#start = start;
    this.#workerModule = workerModule;
    this.pool = new BlockPool(layout.numBlocks);
    this.#aggregate = new RankAggregate(worldSize);
    this.connector = new SchedulerConnector({
      ...server,
      tpSize: layout.ranks[0]?.effectiveTpSize ?? worldSize,
      worldSize,
      ...(transitions
        ? { inspect: describeTransition('scheduler', (line) => channel.send({ type: 'transition', line })) }
        : {}),
    });
    if (fed) forwardFeed(this.connector, (record) => channel.send({ type: 'fed', record }));
    this.connector.onAnnounce((announcement) => this.tellAll({ type: 'announce', announcement }));
    this.connector.onStatus(({ path, fault }) => {
      const machine = 'scheduler';
      this.record({ type: 'status.changed', atMs: wallTimeMs(), machine, path, fault: fault?.message ?? null });
    });
  }

  start(): void {
    for (const rank of this.#start.layout.ranks) this.startWorker(rank);
    this.tellPids();
    this.connector.start();
  }

  record(event: DemoEvent): void {
    this.channel.send({ type: 'happened', event });
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
    const outcome = await this.connector.query({ requestId, blockHashes });
    const blocks = outcome.kind === 'hit' ? outcome.blocks : 0;
    const reason = outcome.kind === 'miss' ? outcome.reason : null;
    const result = outcome.kind;
    this.record({ type: 'query.answered', atMs: wallTimeMs(), requestId, queryId, result, blocks, reason });
    return outcome;
  }

  releaseHit(requestId: string): void {
    this.connector.release(requestId);
  }

  load(contents: BlockContents): Promise<boolean> | null {
    if (!this.connector.scheduleLoad(contents.requestId, contents.blockIds)) return null;
    this.#expected.push(contents);
    this.#stepSoon();
    return this.#loads.next(contents.requestId);
  }

  computeAndSave(contents: BlockContents): Promise<void> {
    this.connector.scheduleSave(contents);
    this.#computed.push(contents);
    this.#stepSoon();
    return this.#computations.next(contents.requestId);
  }

  /** An answer takes no time here. */
  async decode(): Promise<void> {}

  finish(requestId: string): Promise<void> | null {
    const isHeld = this.connector.requestFinished(requestId);
    this.#finished.push(requestId);
    this.#stepSoon();
    return isHeld ? this.#holds.next(requestId) : null;
  }

  /** Stops the connector first, while the workers can still report, then the workers. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const outcome = await this.connector.stop();
    const complaints = [outcome.kind === 'clean' ? null : `scheduler: ${outcome.reason}`];
    const stops = this.workers.map(({ pid }) => this.#workerStops.next(String(pid)));
    this.tellAll({ type: 'stop' });
    const answers = await Promise.all(
      stops.map((stop) => within(WORKER_STOP_TIMEOUT_MS, stop, 'did not stop in time')),
    );
    for (const [rank, answer] of answers.entries()) if (answer !== null) complaints.push(`rank ${rank}: ${answer}`);
    await this.#endWorkers();
    const complaint = complaints.filter((text) => text !== null).join('; ');
    this.channel.send({ type: 'stopped', complaint: complaint === '' ? null : complaint });
  }

  async #endWorkers(): Promise<void> {
    await Promise.all(
      this.workers.map(async (worker) => {
        if (worker.process.connected) worker.process.disconnect();
        const ended = await within(WORKER_STOP_TIMEOUT_MS, worker.exited, null);
        if (ended !== null) return;
        worker.process.kill('SIGKILL');
        await worker.exited;
      }),
    );
  }

  protected startWorker(rank: RankLayout): WorkerProcess {
    const { server, layout, device, transitions, fed } = this.#start;
    const worker: WorkerProcess = forkHost(this.#workerModule, {
      ownGroup: false,
      env: { [TELEMETRY_ENV.processName]: processNames.rank(rank.rank) },
    });
    worker.onMessage((message) => this.hear(worker, message));
    worker.send({ type: 'start', server, rank, worldSize: layout.ranks.length, device, transitions, fed });
    void worker.exited.then((how) => {
      this.#workerStops.settle(String(worker.pid), `ended by itself: ${how}`);
      if (!this.#isStopping) this.missWorker(rank, how);
    });
    this.workers[rank.rank] = worker;
    return worker;
  }

  /** A rank ended that nobody had stopped. */
  protected missWorker({ rank }: RankLayout, how: string): void {
    this.channel.send({ type: 'failed', reason: `rank ${rank} ended by itself: ${how}` });
  }

  protected tellPids(): void {
    this.channel.send({ type: 'started', pids: this.workers.map(({ pid }) => pid) });
  }

  protected hear(worker: WorkerProcess, message: FromWorker): void {
    if (message.type === 'report') this.connector.acceptReport(message.report);
    else if (message.type === 'output') this.accept(message.output);
    else if (message.type === 'stopped') this.#workerStops.settle(String(worker.pid), message.complaint);
    else this.channel.send(message);
  }

  protected accept(output: RankOutput): void {
    this.connector.acceptReport(output.report);
    this.acceptEnds(output);
  }

  protected acceptEnds(ends: RankEnds): void {
    const { loaded, saved, failedLoads, computed } = this.#aggregate.add(ends);
    for (const requestId of failedLoads) this.#failedLoads.add(requestId);
    const ended = this.connector.acceptFinished({ loaded, saved, failedLoads });
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
    setImmediate(() => void this.step());
  }

  protected step(): Step {
    this.#stepDue = false;
    const step: Step = {
      metadata: this.connector.buildMetadata(),
      expected: this.#expected,
      computed: this.#computed,
      finishedRequestIds: this.#finished,
    };
    this.#expected = [];
    this.#computed = [];
    this.#finished = [];
    this.tellAll({ type: 'step', step });
    return step;
  }

  protected tellAll(message: ToWorker): void {
    for (const worker of this.workers) worker.send(message);
  }
}

/** Serves as this process's scheduler until its parent closes the channel. */
export function runScheduler(create: (channel: SchedulerChannel, start: SchedulerStart) => SchedulerHost): void {
  const channel = parentChannel<ToScheduler, FromScheduler>();
  let host: SchedulerHost | null = null;
  channel.onMessage((message) => {
    if (message.type === 'start') {
      host = create(channel, message);
      host.start();
    } else if (message.type === 'request') host?.serve(message);
    else void host?.stop();
  });
  channel.onClosed(() => void endHost());
}
