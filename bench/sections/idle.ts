import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Figure, figureFrom } from '../figure.ts';
import type { ServerChoice } from '../servers/server-choice.ts';

export interface IdleOptions {
  readonly ranks: number;
  /** How long each reading lasts, in milliseconds. */
  readonly windowMs: number;
  readonly rounds: number;
  readonly server: ServerChoice;
  readonly progress: (text: string) => void;
}

/** What the process does meanwhile: nothing at all, or a connected instance without traffic. */
export type IdleContents = 'nothing' | 'instance';

/** CPU time over wall time, in percent of one core. */
export interface IdleReading {
  readonly cpuPercent: number;
}

const childPath = fileURLToPath(new URL('idle-child.ts', import.meta.url));

/** How long a child may take beyond its window, in milliseconds. */
const START_TIMEOUT_MS = 60_000;

/**
 * What pings and audits cost an instance that serves nobody. The floor is a process that only holds its event loop open,
 * read at the same time. Every reading has a process of its own.
 */
export async function measureIdle({
  ranks,
  windowMs,
  rounds,
  server: choice,
  progress,
}: IdleOptions): Promise<Figure[]> {
  const product: number[] = [];
  const floor: number[] = [];
  const server = await choice.start(ranks);
  try {
    for (let round = 1; round <= rounds; round += 1) {
      progress(`idle, ${ranks} ranks, ${windowMs / 1_000} s, round ${round} of ${rounds}`);
      const [instance, nothing] = await Promise.all(
        (['instance', 'nothing'] as const).map((contents) => read(contents, server.endpoint, ranks, windowMs)),
      );
      product.push(instance!.cpuPercent);
      floor.push(nothing!.cpuPercent);
    }
  } finally {
    await server[Symbol.asyncDispose]();
  }
  const name = `CPU while idle, scheduler and ${ranks} ranks`;
  return [figureFrom({ name, unit: '% core', product, floor, target: { of: 'value', atMost: 0.5 } })];
}

async function read(contents: IdleContents, endpoint: string, ranks: number, windowMs: number): Promise<IdleReading> {
  const child = fork(childPath, [contents, endpoint, `${ranks}`, `${windowMs}`], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const timeout = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS + windowMs);
  const exited = once(child, 'exit');
  const died = exited.then(([code, signal]) => {
    throw new Error(`the reading of ${contents} ended with ${code ?? signal}`);
  });
  try {
    const [reading]: IdleReading[] = await Promise.race([once(child, 'message'), died]);
    if (reading === undefined) throw new Error('the reading said nothing');
    return reading;
  } finally {
    died.catch(() => {});
    clearTimeout(timeout);
    await exited;
  }
}
