import { randomUUID } from 'node:crypto';
import { type Budgets, SchedulerConnector, WorkerConnector } from '../src/index.ts';
import type { RankMemory } from './rank-memory.ts';
import { type Recovering, Service } from './recovering.ts';

/** The product: a scheduler and its ranks in this process, joined by the push forms. */
export class ConnectorInstance implements Recovering {
  readonly service = new Service();
  readonly instanceId = `product-${randomUUID()}`;
  readonly scheduler: SchedulerConnector;
  readonly workers: readonly WorkerConnector[];
  #memory: RankMemory;

  /** `budgets` takes the place of single defaults. */
  constructor(endpoint: string, memory: RankMemory, budgets: Partial<Budgets> = {}) {
    const worldSize = memory.layersOfRank.length;
    const { instanceId } = this;
    const shared = { endpoint, instanceId, namespace: instanceId, worldSize, tpSize: worldSize, budgets };
    this.#memory = memory;
    this.scheduler = new SchedulerConnector(shared);
    this.workers = memory.layersOfRank.map(
      (_, rank) => new WorkerConnector({ ...shared, rank, tpRank: rank, deviceId: rank }),
    );
  }

  start(): this {
    for (const [rank, worker] of this.workers.entries()) {
      worker.onReport((report) => this.scheduler.acceptReport(report));
      this.scheduler.onAnnounce((announcement) => worker.acceptAnnouncement(announcement));
      worker.registerKvCaches(this.#memory.layersOfRank[rank]!);
    }
    this.scheduler.onStatus(({ state }) => this.service.post(state === 'connected'));
    this.scheduler.start();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.scheduler.stop(), ...this.workers.map((worker) => worker.stop())]);
  }
}
