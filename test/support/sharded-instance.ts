import { randomUUID } from 'node:crypto';
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { ShardedSchedulerConnector, shardLayout, shardOfRank, WorkerConnector } from '../../src/connector/index.ts';
import type { ShardedSchedulerOptions } from '../../src/connector/sharded/sharded-scheduler-connector.ts';
import { RankAggregate } from '../../src/demo/hosts/rank-aggregate.ts';
import { TestConnection, TestRank } from './engine-rank.ts';
import type { ServerProcess } from './server-process.ts';
import { layersOf, type StepResult } from './test-instance.ts';
import { publishedUnderTest } from './version-under-test.ts';
import { eventually } from './within.ts';

export interface ShardedInstanceOptions {
  /** Ranks of all servers together. Default: two a server. */
  readonly worldSize?: number;
  readonly budgets?: ShardedSchedulerOptions['budgets'];
  /** Storage group of each layer. Default: all are in group 0. */
  readonly layerGroupIds?: readonly number[];
}

/** A sharded scheduler and the ranks of all its shards in this process, joined by the push forms. */
export class ShardedInstance implements AsyncDisposable {
  readonly instanceId = `instance-${randomUUID()}`;
  readonly scheduler: ShardedSchedulerConnector;
  /** By global rank. */
  readonly workers: readonly WorkerConnector[];
  /** By global rank. */
  readonly memory: readonly TestRank[];
  #connections: readonly TestConnection[];
  #aggregate: RankAggregate;
  #finishedRequests: string[] = [];
  #failed = new Set<string>();

  constructor(
    engines: readonly ServerProcess[],
    { worldSize = 2 * engines.length, budgets, layerGroupIds }: ShardedInstanceOptions = {},
  ) {
    const { instanceId } = this;
    const endpoints = engines.map(({ grpcAddress }) => `http://${grpcAddress}`);
    const options = { endpoints, instanceId, namespace: instanceId, worldSize, tpSize: worldSize };
    const shared = {
      instanceId,
      ...(budgets ? { budgets } : {}),
      ...(publishedUnderTest === null ? {} : { serverVersions: publishedUnderTest }),
    };
    const layout = shardLayout(options);
    const places = Array.from({ length: worldSize }, (_, rank) => shardOfRank(layout, rank));
    const driver = createEmulatedDriver({ deviceCount: worldSize });
    this.scheduler = new ShardedSchedulerConnector({ ...options, ...shared });
    this.#aggregate = new RankAggregate(worldSize);
    this.#connections = endpoints.map((endpoint) => new TestConnection(endpoint));
    this.memory = places.map(
      ({ shard, ...place }, deviceId) =>
        new TestRank(this.#connections[shard]!.client, driver, {
          ...place,
          instanceId,
          deviceId,
          ...(layerGroupIds ? { layerGroupIds } : {}),
        }),
    );
    this.workers = places.map((place, deviceId) => new WorkerConnector({ ...shared, ...place, deviceId }));
  }

  /** Registers the memory and joins the roles. */
  start(): this {
    for (const [rank, worker] of this.workers.entries()) {
      const { shard } = shardOfRank(this.scheduler.layout, rank);
      worker.onReport((report) => this.scheduler.acceptReport(rank, report));
      this.scheduler.onAnnounce(shard, (announcement) => worker.acceptAnnouncement(announcement));
      worker.registerKvCaches(layersOf(this.memory[rank]!));
    }
    this.scheduler.start();
    return this;
  }

  async connected(): Promise<void> {
    await eventually('all shards to be connected', () => (this.scheduler.isInService ? true : null), 15_000);
  }

  /** Writes one block of every rank: no two ranks and no two seeds look alike. */
  fill(blockId: number, seed: number): void {
    for (const [rank, memory] of this.memory.entries()) memory.fill(blockId, seedOf(rank, seed));
  }

  /** The ranks whose block does not hold what {@link fill} wrote with this seed. */
  wrong(blockId: number, seed: number, layerNames?: readonly string[]): number[] {
    return [...this.memory.keys()].filter((rank) => !this.memory[rank]!.holds(blockId, seedOf(rank, seed), layerNames));
  }

  /** One step of a host. */
  step(): StepResult {
    const metadata = this.scheduler.buildMetadata();
    for (const [rank, worker] of this.workers.entries()) {
      const { shard } = shardOfRank(this.scheduler.layout, rank);
      const { loads, saves } = metadata[shard]!;
      worker.acceptMetadata(metadata[shard]!);
      worker.startLoad(loads);
      worker.save(saves);
    }
    const finishedRequests = this.#finishedRequests.splice(0);
    const ended = { loaded: [] as string[], saved: [] as string[] };
    for (const worker of this.workers) {
      const failedLoads = worker.takeLoadErrors().map(({ requestId }) => requestId);
      for (const requestId of failedLoads) this.#failed.add(requestId);
      const told = { ...worker.takeFinished(finishedRequests), failedLoads, computed: [] };
      const complete = this.#aggregate.add(told);
      ended.loaded.push(...complete.loaded);
      ended.saved.push(...complete.saved);
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
  ended(requestId: string, set: 'loaded' | 'saved'): Promise<StepResult> {
    return eventually(
      `${requestId} to be ${set}`,
      () => {
        const result = this.step();
        return result[set].includes(requestId) ? result : null;
      },
      10_000,
    );
  }

  /** Saves blocks of a request of its own, and waits for the end on all ranks. */
  async save(
    requestId: string,
    blockIds: readonly number[],
    blockHashes: readonly Uint8Array[],
    groupId = 0,
  ): Promise<void> {
    this.scheduler.scheduleSave({ requestId, groupId, blockIds, blockHashes });
    if (this.finish(requestId)) await this.ended(requestId, 'saved');
  }

  /** Asks until so many of these blocks are a hit, and leaves them held: visibility comes after the end of the save. */
  async hit(
    requestId: string,
    blockHashes: readonly Uint8Array[],
    blocks = blockHashes.length,
    groupId = 0,
  ): Promise<void> {
    await eventually(
      `a hit of ${blocks} blocks`,
      async () => {
        const outcome = await this.scheduler.query({ requestId, groupId, blockHashes });
        if (outcome.kind === 'hit' && outcome.blocks === blocks) return true;
        this.scheduler.release(requestId, groupId);
        return null;
      },
      10_000,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.scheduler.stop(), ...this.workers.map((worker) => worker.stop())]);
    for (const memory of this.memory) memory[Symbol.dispose]();
    for (const connection of this.#connections) connection[Symbol.dispose]();
  }
}

/** Ranks of different shards share their local number, by which {@link TestRank} tells its patterns apart. */
const seedOf = (rank: number, seed: number) => seed + 50 * rank;
