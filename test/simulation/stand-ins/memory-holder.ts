/** In the place of `src/rpc/memory-holder.ts`: who maps the memory of the process that asks. */
import type * as real from '../../../src/rpc/memory-holder.ts';
import { kernel } from '../kernel.ts';

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
  return new Set(wanted.flatMap(({ mappedBy }) => [...mappedBy].map(({ pid }) => pid)));
}

export function holdsMemory(pid: number, memory: real.OurMemory): Promise<boolean> {
  return read(() => pidsThatMap(memory).has(pid));
}

export function holdersOf(memory: real.OurMemory): Promise<readonly number[]> {
  return read(() => (memory.deviceId === null ? [] : [...pidsThatMap(memory)]));
}

/** The engine runs without them here. */
export function copyThreads(): Promise<readonly real.CopyThread[]> {
  return read(() => []);
}

export const ticksNow = (): number => kernel().loop.nowMs / 10;

holdsMemory satisfies typeof real.holdsMemory;
holdersOf satisfies typeof real.holdersOf;
copyThreads satisfies typeof real.copyThreads;
ticksNow satisfies typeof real.ticksNow;
