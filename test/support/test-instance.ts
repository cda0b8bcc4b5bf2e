import { randomUUID } from 'node:crypto';
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import type { DeviceDriver } from '../../native-bindings/index.ts';
import {
  type ConnectorState,
  type Fencing,
  type KvCacheLayer,
  SchedulerConnector,
  type SchedulerConnectorOptions,
  WorkerConnector,
} from '../../src/connector/index.ts';
import type { ServerVersions, TelemetryOptions } from '../../src/index.ts';
import { type RankOptions, TestConnection, TestRank } from './engine-rank.ts';
import { publishedUnderTest } from './version-under-test.ts';
import { eventually, within } from './within.ts';

export interface TestInstanceOptions {
  readonly worldSize?: number;
  readonly instanceId?: string;
  readonly namespace?: string;
  /** Default: the server under test, where it is a published one. */
  readonly serverVersions?: ServerVersions;
  readonly budgets?: SchedulerConnectorOptions['budgets'];
  /** Default true: announcements and reports are pushed. Otherwise {@link TestInstance.step} alone carries them. */
  readonly isPushed?: boolean;
  /** Storage group of each of the two layers. Default: all in group 0. */
  readonly layerGroupIds?: readonly number[];
  /** The layers of each rank, which is then a pipeline stage. Default: tensor-parallel ranks with the same layers. */
  readonly stages?: readonly Required<Pick<RankOptions, 'layerNames' | 'layerGroupIds'>>[];
  readonly maxHeldBlocksShare?: number;
  /** Of the devices whose memory is registered. Default: emulated ones, a device a rank. */
  readonly driver?: DeviceDriver;
  /** Where both halves tell what they do. Default: what is registered globally, and no log. */
  readonly telemetry?: TelemetryOptions;
  /** How the ranks end a server that may still touch their blocks. Default: not at all. */
  readonly fencing?: Fencing;
  /** Where the ranks find the server, all or each. Default: where the scheduler does. */
  readonly rankEndpoint?: string | readonly string[];
}

/** What one call of {@link TestInstance.step} told. */
export interface StepResult {
  readonly loaded: readonly string[];
  readonly saved: readonly string[];
  readonly failedLoads: readonly string[];
}

/** A scheduler and its ranks in this process, joined by the push forms, with device memory the engine maps. */
export class TestInstance implements AsyncDisposable {
  scheduler: SchedulerConnector;
  readonly workers: readonly WorkerConnector[];
  /** The rank whose reports {@link step} loses. */
  deafTo: number | null = null;
  readonly memory: readonly TestRank[];
  #connection: TestConnection;
  #schedulerOptions: SchedulerConnectorOptions;
  #isPushed: boolean;
  #unlisten: (() => void)[] = [];
  #finishedRequests: string[] = [];
  #reported = new Map<string, Set<number>>();
  #failed = new Set<string>();

  constructor(endpoint: string, given: TestInstanceOptions = {}) {
    const { stages, worldSize = stages?.length ?? 2, instanceId = `instance-${randomUUID()}` } = given;
    const { namespace = instanceId, serverVersions = publishedUnderTest, budgets, layerGroupIds = [] } = given;
    const shared = {
      endpoint,
      instanceId,
      namespace,
      worldSize,
      tpSize: stages ? 1 : worldSize,
      ...(serverVersions === null ? {} : { serverVersions }),
      ...(budgets ? { budgets } : {}),
      ...given.telemetry,
    };
    const shardOfRank = (rank: number) => ({
      tpRank: stages ? 0 : rank,
      ppRank: stages ? rank : 0,
      deviceId: rank,
    });
    this.#connection = new TestConnection(endpoint);
    const { driver = createEmulatedDriver({ deviceCount: worldSize }) } = given;
    const { maxHeldBlocksShare } = given;
    this.#schedulerOptions = { ...shared, ...(maxHeldBlocksShare === undefined ? {} : { maxHeldBlocksShare }) };
    this.#isPushed = given.isPushed ?? true;
    this.scheduler = new SchedulerConnector(this.#schedulerOptions);
    this.memory = Array.from(
      { length: worldSize },
      (_, rank) =>
        new TestRank(this.#connection.client, driver, {
          instanceId,
          namespace,
          ...shardOfRank(rank),
          tpSize: shared.tpSize,
          worldSize,
          layerGroupIds,
          ...stages?.[rank],
        }),
    );
    const { rankEndpoint = endpoint } = given;
    const { fencing = 'off' } = given;
    const endpointAt = (rank: number) => (typeof rankEndpoint === 'string' ? rankEndpoint : rankEndpoint[rank]!);
    this.workers = this.memory.map(
      (_, rank) => new WorkerConnector({ ...shared, fencing, endpoint: endpointAt(rank), rank, ...shardOfRank(rank) }),
    );
  }

  /** Registers the memory and joins the roles. */
  start(): this {
    this.#join();
    for (const [rank, worker] of this.workers.entries()) worker.registerKvCaches(layersOf(this.memory[rank]!));
    this.scheduler.start();
    return this;
  }

  /** Cuts the scheduler off, as if its process had been killed, and puts a new one in its place. */
  replaceScheduler(): SchedulerConnector {
    const abandoned = this.scheduler;
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    void abandoned.stop();
    this.scheduler = new SchedulerConnector(this.#schedulerOptions);
    this.#join();
    this.scheduler.start();
    return this.scheduler;
  }

  #join(): void {
    if (!this.#isPushed) return;
    const { scheduler } = this;
    for (const worker of this.workers) {
      this.#unlisten.push(
        worker.onReport((report) => scheduler.acceptReport(report)),
        scheduler.onAnnounce((announcement) => worker.acceptAnnouncement(announcement)),
      );
    }
  }

  /** Settles when the scheduler's path begins so. */
  async at(path: string): Promise<void> {
    await eventually(path, () => (this.scheduler.status.path.startsWith(path) ? true : null));
  }

  /** Settles when the scheduler is in one of these states. */
  async reached(...states: ConnectorState[]): Promise<void> {
    const seen = Promise.withResolvers<void>();
    const look = () => {
      if (states.includes(this.scheduler.status.state)) seen.resolve();
    };
    const unlisten = this.scheduler.onStatus(look);
    look();
    try {
      await within(15_000, `the scheduler to be ${states.join(' or ')}`, seen.promise).catch((error: Error) => {
        const paths = [this.scheduler, ...this.workers].map(({ status }) => `${status.path} ${status.fault?.message}`);
        throw new Error(`${error.message}; now: ${paths.join(' | ')}`);
      });
    } finally {
      unlisten();
    }
  }

  /** One step of a host: metadata out, transfers begun, what has ended on all ranks back. */
  step(): StepResult {
    const metadata = this.scheduler.buildMetadata();
    for (const worker of this.workers) {
      worker.acceptMetadata(metadata);
      worker.startLoad(metadata.loads);
      worker.save(metadata.saves);
      if (!this.#isPushed && worker.rank !== this.deafTo) this.scheduler.acceptReport(worker.takeReport());
    }
    const finishedRequests = this.#finishedRequests.splice(0);
    const ended = { loaded: [] as string[], saved: [] as string[] };
    for (const [rank, worker] of this.workers.entries()) {
      for (const { requestId } of worker.takeLoadErrors()) this.#failed.add(requestId);
      const told = worker.takeFinished(finishedRequests);
      for (const set of ['loaded', 'saved'] as const) {
        for (const requestId of told[set]) if (this.#isLastOf(`${set} ${requestId}`, rank)) ended[set].push(requestId);
      }
    }
    const failedLoads = ended.loaded.filter((requestId) => this.#failed.delete(requestId));
    return { ...this.scheduler.acceptFinished({ ...ended, failedLoads }), failedLoads };
  }

  /** vLLM tells its workers of finished requests with the next step. */
  finish(requestId: string): boolean {
    const isHeld = this.scheduler.requestFinished(requestId);
    this.#finishedRequests.push(requestId);
    return isHeld;
  }

  /** Steps until this request is told in `loaded` or `saved`. */
  ended(requestId: string, set: 'loaded' | 'saved', budgetMs = 10_000): Promise<StepResult> {
    const stepUntilTold = () => {
      const result = this.step();
      return result[set].includes(requestId) ? result : null;
    };
    return eventually(`${requestId} to be ${set}`, stepUntilTold, budgetMs);
  }

  /** Saves blocks of a request of its own, and waits for the end on all ranks. */
  async save(
    requestId: string,
    blockIds: readonly number[],
    blockHashes: readonly Uint8Array[],
    groupId = 0,
  ): Promise<void> {
    const isScheduled = this.scheduler.scheduleSave({ requestId, groupId, blockIds, blockHashes });
    this.finish(requestId);
    if (isScheduled) await this.ended(requestId, 'saved');
  }

  /** Asks until all of these blocks are a hit: visibility comes after the end of the save. */
  async hit(requestId: string, blockHashes: readonly Uint8Array[], groupId = 0): Promise<void> {
    const ask = async () => {
      const outcome = await this.scheduler.query({ requestId, groupId, blockHashes, isAllOrNothing: true });
      return outcome.kind === 'hit' ? outcome : null;
    };
    await eventually('a full hit', ask, 10_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.scheduler.stop(), ...this.workers.map((worker) => worker.stop())]);
    for (const memory of this.memory) memory[Symbol.dispose]();
    this.#connection[Symbol.dispose]();
  }

  #isLastOf(key: string, rank: number): boolean {
    const ranks = this.#reported.get(key) ?? new Set();
    if (ranks.has(rank)) throw new Error(`rank ${rank} told "${key}" twice`);
    ranks.add(rank);
    this.#reported.set(key, ranks);
    if (ranks.size < this.workers.length) return false;
    this.#reported.delete(key);
    return true;
  }
}

/** The rank's device memory as a connector registers it. */
export function layersOf(rank: TestRank): KvCacheLayer[] {
  const { layerNames, wrapperBytes, numBlocks, bytesPerBlock, kvStrideBytes, segments } = rank.registration();
  return (layerNames ?? []).map((name, layer) => ({
    name,
    wrapperBytes: wrapperBytes![layer]!,
    numBlocks: Number(numBlocks![layer]),
    bytesPerBlock: Number(bytesPerBlock![layer]),
    kvStrideBytes: Number(kvStrideBytes![layer]),
    segments: segments![layer]!,
    groupId: rank.options.layerGroupIds?.[layer] ?? 0,
  }));
}
