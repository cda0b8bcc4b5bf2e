import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Figure, figureFrom, type Target } from '../figure.ts';
import type { ServerChoice } from '../servers/server-choice.ts';

export interface MemoryOptions {
  readonly ranks: number;
  readonly rounds: number;
  readonly server: ServerChoice;
  readonly progress: (text: string) => void;
}

/** What is held: idle bare links that have made one call, or a connected instance of so many ranks. */
export type MemoryContents = 'links' | 'ranks';

/** How much more the process holds, after garbage collection. */
export interface MemoryGrowth {
  /** Pages in memory, whatever they are used for. */
  readonly rssBytes: number;
  /** Live JavaScript objects. */
  readonly heapBytes: number;
  /** Memory outside the heap that JavaScript objects own: buffers, HTTP/2 sessions. */
  readonly externalBytes: number;
}

const childPath = fileURLToPath(new URL('memory-child.ts', import.meta.url));

/** How long one reading may take, in milliseconds. */
const READING_TIMEOUT_MS = 240_000;

/**
 * Memory per rank of an instance whose ranks are all in one process, the scheduler's share included, the KV memory not.
 * The floor is an idle link of each rank. Every reading has a process of its own. The target is held against live
 * memory (heap and external); rss adds nghttp2's buffers, which a bare link has too, and the room that garbage left.
 */
export async function measureMemory({ ranks, rounds, server, progress }: MemoryOptions): Promise<Figure[]> {
  const growth: Record<MemoryContents, MemoryGrowth[]> = { links: [], ranks: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const contents of ['links', 'ranks'] as const) {
      progress(`memory, ${ranks} ${contents}, round ${round + 1} of ${rounds}`);
      growth[contents].push(await read(contents, ranks, server));
    }
  }
  const perRankKiB = (contents: MemoryContents, bytes: (growth: MemoryGrowth) => number) =>
    growth[contents].map((sample) => bytes(sample) / ranks / 1024);
  const figure = (name: string, bytes: (growth: MemoryGrowth) => number, target?: Target) =>
    figureFrom({
      name: `memory per rank at ${ranks} ranks, ${name}`,
      unit: 'KiB',
      product: perRankKiB('ranks', bytes),
      floor: perRankKiB('links', bytes),
      ...(target === undefined ? {} : { target }),
    });
  return [
    figure('heap + external', ({ heapBytes, externalBytes }) => heapBytes + externalBytes, {
      of: 'value',
      atMost: 32,
    }),
    figure('rss', ({ rssBytes }) => rssBytes),
  ];
}

async function read(contents: MemoryContents, count: number, choice: ServerChoice): Promise<MemoryGrowth> {
  const server = await choice.start(count);
  const child = fork(childPath, [contents, server.endpoint, `${count}`], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const timeout = setTimeout(() => child.kill('SIGKILL'), READING_TIMEOUT_MS);
  const exited = once(child, 'exit');
  const died = exited.then(([code, signal]) => {
    throw new Error(`the reading of ${count} ${contents} ended with ${code ?? signal}`);
  });
  try {
    const [growth]: MemoryGrowth[] = await Promise.race([once(child, 'message'), died]);
    if (growth === undefined) throw new Error('the reading said nothing');
    return growth;
  } finally {
    died.catch(() => {});
    clearTimeout(timeout);
    await exited;
    await server[Symbol.asyncDispose]();
  }
}
