import { EngineProcess } from '../../support/engine-process.ts';
import { RealServer } from '../../support/real-server.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import type { PublishedVersion } from '../published-wheels.ts';
import { IdleClients } from './idle-clients.ts';
import type { Sequence } from './step.ts';

export interface ServerPair {
  readonly key: string;
  readonly poolSizeBytes: number;
  readonly real: ServerProcess;
  readonly engine: ServerProcess;
}

/** Pairs of servers, kept between sequences that want the same flags, as long as nothing of the last one is left in them. */
export class ServerPairs implements AsyncDisposable {
  readonly #version: PublishedVersion;
  readonly #idle = new Map<string, ServerPair>();
  readonly clients: IdleClients;

  constructor(version: PublishedVersion) {
    this.#version = version;
    this.clients = new IdleClients(version);
  }

  async take({ poolSizeBytes, isBlockwise = false, ownServers = false }: Sequence): Promise<ServerPair> {
    const key = ownServers ? 'own' : `${poolSizeBytes} ${isBlockwise}`;
    const kept = this.#idle.get(key);
    this.#idle.delete(key);
    if (kept !== undefined) return kept;
    const options = { version: this.#version, poolSizeBytes };
    const [real, engine] = await Promise.allSettled([
      RealServer.start({ ...options, flags: isBlockwise ? ['--blockwise-alloc'] : [] }),
      EngineProcess.start({ ...options, isAllocationBlockwise: isBlockwise }),
    ]);
    if (real.status === 'fulfilled' && engine.status === 'fulfilled') {
      return { key, poolSizeBytes, real: real.value, engine: engine.value };
    }
    for (const started of [real, engine])
      if (started.status === 'fulfilled') await started.value[Symbol.asyncDispose]();
    throw [real, engine].find((started) => started.status === 'rejected')?.reason;
  }

  async giveBack(pair: ServerPair): Promise<void> {
    const mayKeepBytes = pair.poolSizeBytes >= LARGE_POOL_BYTES ? NEGLIGIBLE_BYTES : 0;
    const emptied = [pair.real, pair.engine].map((server) => isEmptied(server, mayKeepBytes));
    const isReusable = pair.key !== 'own' && (await Promise.all(emptied)).every(Boolean);
    if (isReusable) this.#idle.set(pair.key, pair);
    else await this.#end(pair);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pair of this.#idle.values()) await this.#end(pair);
    this.#idle.clear();
    await this.clients[Symbol.asyncDispose]();
  }

  async #end({ real, engine }: ServerPair): Promise<void> {
    await Promise.all([real[Symbol.asyncDispose](), engine[Symbol.asyncDispose]()]);
  }
}

/** Below this, what is left of other sequences is nothing to the largest of our pools. */
const NEGLIGIBLE_BYTES = 4 * 2 ** 20;
const LARGE_POOL_BYTES = 64 * 2 ** 20;

/** Partial blocks of others keep memory: a small pool is empty in a new server alone. */
const isEmptied = async (server: ServerProcess, mayKeepBytes: number): Promise<boolean> => {
  if (!server.isRunning) return false;
  try {
    await server.http('POST', '/instances/cleanup');
    await server.http('POST', '/cache/memory/cleanup');
    const { text: metrics } = await server.http('GET', '/metrics');
    const used = /^pegaflow_pool_used_bytes(?:\{[^}]*\})? (\S+)/m.exec(metrics)?.[1] ?? 0;
    return Number(used) <= mayKeepBytes;
  } catch {
    return false;
  }
};
