import { randomUUID } from 'node:crypto';
import { registrationOf } from '../src/connector/kv-caches.ts';
import { BareLink } from './bare-link.ts';
import type { RankMemory } from './rank-memory.ts';
import { type Recovering, Service } from './recovering.ts';
import type { MeasuredServer } from './servers/measured-server.ts';

/** Wait after a dial that failed, in milliseconds. */
const REDIAL_MS = 1;

/** Which links the ranks register over: one each, as ranks in processes of their own must, or all over the session's. */
export type RankLinks = 'ownLinks' | 'oneLink';

/**
 * The floor: what somebody would write who knows that the server is gone and comes back empty, and trusts everything
 * else. Dials, opens the Session and waits for its headers, registers all ranks at once; on any end, again.
 */
export class HandWrittenLoop implements Recovering {
  readonly service = new Service();
  readonly instanceId = `floor-${randomUUID()}`;
  #server: MeasuredServer;
  #memory: RankMemory;
  #rankLinks: RankLinks;
  #links = new Set<BareLink>();
  #session: BareLink | null = null;
  #redial: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(server: MeasuredServer, memory: RankMemory, rankLinks: RankLinks) {
    this.#server = server;
    this.#memory = memory;
    this.#rankLinks = rankLinks;
  }

  start(): this {
    this.#dial();
    return this;
  }

  #dial(): void {
    const bare = new BareLink(this.#server.endpoint, {
      up: () => void this.#register(bare).catch(() => bare.link.drop()),
      down: () => this.#again(),
    });
    this.#session = bare;
  }

  #again(): void {
    this.service.post(false);
    this.#dropRankLinks();
    if (!this.#isStopped) this.#redial = setTimeout(() => this.#dial(), REDIAL_MS);
  }

  async #register(bare: BareLink): Promise<void> {
    const worldSize = this.#memory.layersOfRank.length;
    const identity = { instanceId: this.instanceId, namespace: this.instanceId, tpSize: worldSize, worldSize };
    const headers = Promise.withResolvers<void>();
    const stream = bare.client.session(identity, { onHeader: () => headers.resolve() });
    readToTheEnd(stream).then(() => bare.link.drop(), headers.reject);
    await headers.promise;
    await Promise.all(
      this.#memory.layersOfRank.map(async (layers, rank) => {
        const { client } = this.#rankLinks === 'oneLink' ? bare : await this.#dialForRank();
        const options = { ...identity, endpoint: this.#server.endpoint, rank, tpRank: rank, deviceId: rank };
        await client.registerContextBatch(registrationOf(options, layers, this.#server.version));
      }),
    );
    this.service.post(true);
  }

  async #dialForRank(): Promise<BareLink> {
    const bare = await BareLink.dial(this.#server.endpoint);
    this.#links.add(bare);
    return bare;
  }

  #dropRankLinks(): void {
    for (const bare of this.#links) bare.link.drop();
    this.#links.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#redial);
    if (this.#session?.link.isUp) await this.#session.client.unregisterContext({ instanceId: this.instanceId });
    this.#session?.link.drop();
    this.#dropRankLinks();
  }
}

async function readToTheEnd(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
