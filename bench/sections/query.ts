import { randomBytes } from 'node:crypto';
import { BareLink } from '../bare-link.ts';
import { ConnectorInstance } from '../connector-instance.ts';
import { type Figure, figureFrom } from '../figure.ts';
import { RankMemory } from '../rank-memory.ts';
import type { ServerChoice } from '../servers/server-choice.ts';

export interface QueryOptions {
  /** Queries of each kind through each way. */
  readonly queries: number;
  readonly server: ServerChoice;
  readonly progress: (text: string) => void;
}

/** Blocks of one query: 1024 tokens of 16-token blocks. */
const BLOCKS = 64;
const HASH_BYTES = 32;

/** Queries through one way before the other has its turn. */
const BATCH = 10;

const TARGET = { of: 'ratio', atMost: 1.1 } as const;

/** One query, timed, and what has to be done after it. */
interface Way {
  ask(requestId: string, blockHashes: readonly Uint8Array<ArrayBuffer>[]): Promise<{ readonly blocks: number }>;
  release(requestId: string): void;
  /** One call on the same link. */
  fence(): Promise<void>;
}

/**
 * Asks for the same blocks through the façade and by the bare RPC over a link of its own, in turns. Every query has a
 * request id of its own, as the façade answers a repeated one without asking.
 */
export async function measureQuery({ queries, server: choice, progress }: QueryOptions): Promise<Figure[]> {
  const memory = new RankMemory(1, BLOCKS);
  const server = await choice.start(1);
  const instance = new ConnectorInstance(server.endpoint, memory).start();
  try {
    await instance.service.turned('up');
    const bare = await BareLink.dial(server.endpoint);
    const ways = { product: facadeWay(instance), floor: bareWay(bare, instance.instanceId) };
    const saved = someHashes();
    await save(instance, saved);
    progress('query, misses');
    const miss = await compare(ways, someHashes(), 0, queries);
    progress('query, hits');
    const hit = await compare(ways, saved, BLOCKS, queries);
    bare[Symbol.dispose]();
    return [
      figureFrom({ name: `query, ${BLOCKS} blocks, miss`, unit: 'µs', ...miss, target: TARGET }),
      figureFrom({ name: `query, ${BLOCKS} blocks, hit`, unit: 'µs', ...hit, target: TARGET }),
    ];
  } finally {
    await instance[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    memory[Symbol.dispose]();
  }
}

function facadeWay({ scheduler }: ConnectorInstance): Way {
  return {
    async ask(requestId, blockHashes) {
      const outcome = await scheduler.query({ requestId, blockHashes });
      return { blocks: outcome.kind === 'hit' ? outcome.blocks : 0 };
    },
    release: (requestId) => scheduler.release(requestId),
    async fence() {
      await scheduler.query({ requestId: 'fence', blockHashes: [] });
    },
  };
}

function bareWay({ client }: BareLink, instanceId: string): Way {
  const leases = new Map<string, Uint8Array<ArrayBuffer>>();
  return {
    async ask(reqId, blockHashes) {
      const { outcome } = await client.queryPrefetch({ instanceId, reqId, blockHashes: [...blockHashes] });
      if (outcome.case !== 'ready') return { blocks: 0 };
      leases.set(reqId, Uint8Array.from(outcome.value.lease));
      return { blocks: Number(outcome.value.numHitBlocks) };
    },
    release(reqId) {
      const lease = leases.get(reqId);
      leases.delete(reqId);
      if (lease !== undefined && lease.length > 0) void client.release({ lease }).catch(() => {});
    },
    async fence() {
      await client.queryPrefetch({ instanceId, reqId: 'fence' });
    },
  };
}

async function compare(
  ways: Readonly<Record<'product' | 'floor', Way>>,
  hashes: readonly Uint8Array<ArrayBuffer>[],
  blocks: number,
  queries: number,
): Promise<Record<'product' | 'floor', number[]>> {
  const samples = { product: [] as number[], floor: [] as number[] };
  const warmUp = Math.ceil(queries / 5);
  for (let done = -warmUp; done < queries; done += BATCH) {
    const order = (done / BATCH) % 2 === 0 ? (['product', 'floor'] as const) : (['floor', 'product'] as const);
    for (const name of order) {
      for (let i = 0; i < BATCH; i += 1) {
        const requestId = `request-${name}-${blocks}-${done + i}`;
        const startMs = performance.now();
        const found = await ways[name].ask(requestId, hashes);
        const tookUs = (performance.now() - startMs) * 1000;
        if (found.blocks !== blocks) throw new Error(`${name}: ${found.blocks} of ${blocks} blocks`);
        if (done >= 0) samples[name].push(tookUs);
        ways[name].release(requestId);
        // A release is not waited for; an answer to what was sent after it on the same link means that it is out of the way.
        if (blocks > 0) await ways[name].fence();
      }
    }
  }
  return samples;
}

/** Saves the blocks and waits until all of them are found. */
async function save({ scheduler, workers }: ConnectorInstance, blockHashes: readonly Uint8Array[]): Promise<void> {
  scheduler.scheduleSave({ requestId: 'save', blockIds: blockHashes.map((_, i) => i), blockHashes });
  const { saves } = scheduler.buildMetadata();
  for (const worker of workers) worker.save(saves);
  const deadlineMs = performance.now() + 10_000;
  for (let attempt = 0; ; attempt += 1) {
    const requestId = `find-${attempt}`;
    const outcome = await scheduler.query({ requestId, blockHashes });
    scheduler.release(requestId);
    if (outcome.kind === 'hit' && outcome.blocks === blockHashes.length) return;
    if (performance.now() > deadlineMs) throw new Error('what was saved is not found');
  }
}

function someHashes(): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: BLOCKS }, () => Uint8Array.from(randomBytes(HASH_BYTES)));
}
