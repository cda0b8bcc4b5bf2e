/** In the place of `src/rpc/holder/memory-holder.ts`: who maps the memory of the process that asks. */
import type * as real from '../../../src/rpc/holder/memory-holder.ts';
import { type CopyThread, isStartedIn, type RegisterTime } from '../../../src/rpc/holder/register-time.ts';
import { kernel } from '../kernel.ts';

const TICK_MS = 10;
/** Milliseconds that a look into /proc takes. */
const READING_MS = { from: 0.1, to: 2 };

function read<T>(look: () => T): Promise<T> {
  const { loop, random } = kernel();
  return new Promise((resolve) => {
    const delayMs = random.between(READING_MS.from, READING_MS.to);
    loop.schedule(loop.current, delayMs, 'io', () => resolve(look()));
  });
}

function pidsThatMap({ deviceId }: real.OurMemory): Set<number> {
  const { arePidsVisible, deviceMemories, loop } = kernel();
  // Whoever has no memory of its own asks for any.
  const wanted = [...deviceMemories.values()].filter(
    (memory) => deviceId === null || (memory.owner === loop.current && memory.deviceId === deviceId),
  );
  if (!arePidsVisible) return new Set();
  const holders = wanted.flatMap(({ mappedBy }) => [...mappedBy]);
  return new Set(holders.filter(({ isDead }) => !isDead).map(({ pid }) => pid));
}

export function holdsMemory(pid: number, memory: real.OurMemory): Promise<boolean> {
  return read(() => pidsThatMap(memory).has(pid));
}

export function holdersOf(memory: real.OurMemory, time: RegisterTime): Promise<readonly number[]> {
  const { deviceId } = memory;
  const isOurs = (pid: number) => threadsOf(pid, deviceId ?? -1).some((thread) => isStartedIn(time, thread));
  return read(() => [...pidsThatMap(memory)].filter(isOurs));
}

export function copyThreads(pid: number, deviceId: number): Promise<readonly CopyThread[]> {
  return read(() => threadsOf(pid, deviceId));
}

function threadsOf(pid: number, deviceId: number): readonly CopyThread[] {
  const { arePidsVisible, threads } = kernel();
  if (!arePidsVisible) return [];
  return (['save', 'load'] as const).flatMap((copies) =>
    [...threads]
      .filter(({ process, name }) => process.pid === pid && name === `gpu${deviceId}-${copies}`)
      .map(({ tid, startMs }) => ({ tid, copies, startTicks: Math.floor(startMs / TICK_MS) })),
  );
}

export function threadsLeft(pid: number, threads: readonly CopyThread[]): Promise<real.ThreadsLeft> {
  return read(() => {
    const there = [...kernel().threads].filter(({ process }) => process.pid === pid);
    if (threads.some(({ tid }) => there.some((thread) => thread.tid === tid))) return 'some';
    return kernel().livingPids.has(pid) ? 'none' : 'ending';
  });
}

export const ticksNow = (): number => Math.floor(kernel().loop.nowMs / TICK_MS);

holdsMemory satisfies typeof real.holdsMemory;
holdersOf satisfies typeof real.holdersOf;
threadsLeft satisfies typeof real.threadsLeft;
copyThreads satisfies typeof real.copyThreads;
ticksNow satisfies typeof real.ticksNow;
