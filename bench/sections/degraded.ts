import { randomBytes } from 'node:crypto';
import { ConnectorInstance } from '../connector-instance.ts';
import { type Figure, figureFrom } from '../figure.ts';
import { RankMemory } from '../rank-memory.ts';
import type { ServerChoice } from '../servers/server-choice.ts';

export interface DegradedOptions {
  /** Samples, each the mean over one batch. */
  readonly batches: number;
  readonly server: ServerChoice;
  readonly progress: (text: string) => void;
}

/** Calls of one batch: what a busy step may hold, and enough for the clock. */
const BATCH = 100;

const BLOCKS = 64;
const HASH_BYTES = 32;

/** Kills the server, and asks, saves and loads while the connectors look for another one. */
export async function measureDegraded({ batches, server: choice, progress }: DegradedOptions): Promise<Figure[]> {
  const memory = new RankMemory(1, BLOCKS);
  const server = await choice.start(1);
  const instance = new ConnectorInstance(server.endpoint, memory).start();
  try {
    await instance.service.turned('up');
    const down = instance.service.turned('down');
    server.kill();
    await down;
    progress('calls while the server is gone');
    const { query, save, load } = callsOf(instance);
    return [
      figureFrom({
        name: 'query while degraded',
        unit: 'µs',
        product: await sample(batches, query),
        target: { of: 'value', atMost: 10 },
      }),
      figureFrom({ name: 'refused save while degraded', unit: 'µs', product: await sample(batches, save) }),
      figureFrom({ name: 'refused load while degraded', unit: 'µs', product: await sample(batches, load) }),
    ];
  } finally {
    await instance[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    memory[Symbol.dispose]();
  }
}

/** Makes one call for one request. */
type Call = (requestId: string) => unknown;

function callsOf({ scheduler, workers }: ConnectorInstance): Record<'query' | 'save' | 'load', Call> {
  const worker = workers[0]!;
  const { epoch } = scheduler.status;
  if (epoch === null) throw new Error('no epoch was announced');
  const blockHashes = Array.from({ length: BLOCKS }, () => Uint8Array.from(randomBytes(HASH_BYTES)));
  const blockIds = blockHashes.map((_, blockId) => blockId);
  const lease = Uint8Array.from(randomBytes(16));
  return {
    query: async (requestId) => {
      const { kind } = await scheduler.query({ requestId, blockHashes });
      if (kind !== 'miss') throw new Error(`${kind} without a server`);
    },
    save: (requestId) => {
      worker.save([{ requestId, epoch, groupId: 0, blockIds, blockHashes }]);
      worker.takeFinished([requestId]);
    },
    load: (requestId) => {
      worker.startLoad([{ requestId, epoch, leases: [{ groupId: 0, lease, blockIds }] }]);
      worker.takeLoadErrors();
      worker.takeFinished([requestId]);
    },
  };
}

/** Mean time of a call in each batch, in microseconds. Between batches the event loop has its turn. */
async function sample(batches: number, call: Call): Promise<number[]> {
  const samples: number[] = [];
  const warmUp = Math.ceil(batches / 5);
  for (let batch = -warmUp; batch < batches; batch += 1) {
    const requestIds = Array.from({ length: BATCH }, (_, i) => `request-${batch}-${i}`);
    const startMs = performance.now();
    for (const requestId of requestIds) await call(requestId);
    const tookUs = (performance.now() - startMs) * 1000;
    if (batch >= 0) samples.push(tookUs / BATCH);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return samples;
}
