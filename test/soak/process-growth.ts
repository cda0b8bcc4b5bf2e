/** Memory and descriptors of processes over their lives, as the probe in each of them reads them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../../bench/statistics.ts';
import type { MemoryReading } from './memory-reading.ts';

export interface ProcessGrowth {
  readonly name: string;
  readonly pid: number;
  /** From the first reading to the last, in milliseconds. */
  readonly observedMs: number;
  /** Medians of the first and of the last quarter of that time. */
  readonly liveBytes: Quarters;
  readonly nativeBytes: Quarters;
  readonly descriptors: Quarters;
}

export interface Quarters {
  readonly first: number;
  readonly last: number;
}

interface Life {
  readonly name: string;
  readonly pid: number;
  readonly readings: MemoryReading[];
}

/** Fewer readings say nothing. */
const MIN_READINGS = 8;

/** Owns the folder that the probes write into until it is disposed. */
export class GrowthRecorder implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pegaflow-soak-'));
  readonly #lives = new Map<string, Life>();

  /** What Node is to be given so that a process, and all that it forks, is read. */
  get execArgv(): readonly string[] {
    const probe = new URL('memory-probe.ts', import.meta.url);
    probe.searchParams.set('folder', this.#folder);
    return ['--import', probe.href];
  }

  /** Looks at the processes, each under its name; a life ends with its pid. */
  sample(processes: Readonly<Record<string, number>>): void {
    for (const [name, pid] of Object.entries(processes)) {
      const reading = this.#read(pid);
      if (reading === null) continue;
      const key = `${name} ${pid}`;
      const life = this.#lives.get(key) ?? { name, pid, readings: [] };
      this.#lives.set(key, life);
      if (life.readings.at(-1)?.atMs !== reading.atMs) life.readings.push(reading);
    }
  }

  /** The longest life under each name. */
  longest(): ProcessGrowth[] {
    const lives = [...this.#lives.values()].filter(({ readings }) => readings.length >= MIN_READINGS);
    return [...Map.groupBy(lives, ({ name }) => name).values()].flatMap((sameName) => {
      const [longest] = sameName.toSorted((a, b) => observedMs(b) - observedMs(a));
      return longest === undefined ? [] : [growthOf(longest)];
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** `null` before the first reading, and in the middle of one that is being written. */
  #read(pid: number): MemoryReading | null {
    try {
      return JSON.parse(readFileSync(join(this.#folder, String(pid)), 'utf8')) as MemoryReading;
    } catch {
      return null;
    }
  }
}

function growthOf(life: Life): ProcessGrowth {
  const { name, pid, readings } = life;
  const quarter = Math.floor(readings.length / 4);
  const quarters = (value: (reading: MemoryReading) => number): Quarters => ({
    first: median(readings.slice(0, quarter).map(value)),
    last: median(readings.slice(-quarter).map(value)),
  });
  return {
    name,
    pid,
    observedMs: observedMs(life),
    liveBytes: quarters(({ liveBytes }) => liveBytes),
    nativeBytes: quarters(({ nativeBytes }) => nativeBytes),
    descriptors: quarters(({ descriptors }) => descriptors),
  };
}

function observedMs({ readings }: Life): number {
  return (readings.at(-1)?.atMs ?? 0) - (readings[0]?.atMs ?? 0);
}
