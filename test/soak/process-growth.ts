/** Memory and descriptors of processes over their lives, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { median } from '../../bench/statistics.ts';

interface Sample {
  readonly atMs: number;
  /** Anonymous pages in memory: device memory, which is shared, is touched bit by bit and would look like growth. */
  readonly rssBytes: number;
  readonly descriptors: number;
}

export interface ProcessGrowth {
  readonly name: string;
  readonly pid: number;
  /** From the first sample to the last, in milliseconds. */
  readonly observedMs: number;
  /** Medians of the first and of the last quarter of that time. */
  readonly rssBytes: Quarters;
  readonly descriptors: Quarters;
}

export interface Quarters {
  readonly first: number;
  readonly last: number;
}

/** Fewer samples say nothing. */
const MIN_SAMPLES = 8;

export class GrowthRecorder {
  readonly #lives = new Map<string, { readonly name: string; readonly pid: number; readonly samples: Sample[] }>();

  /** Looks at the processes, each under its name; a life ends with its pid. */
  sample(processes: Readonly<Record<string, number>>, atMs: number): void {
    for (const [name, pid] of Object.entries(processes)) {
      const seen = readSample(pid, atMs);
      if (seen === null) continue;
      const key = `${name} ${pid}`;
      const life = this.#lives.get(key) ?? { name, pid, samples: [] };
      this.#lives.set(key, life);
      life.samples.push(seen);
    }
  }

  /** The longest life under each name. */
  longest(): ProcessGrowth[] {
    const lives = [...this.#lives.values()].filter(({ samples }) => samples.length >= MIN_SAMPLES);
    return [...Map.groupBy(lives, ({ name }) => name).values()].flatMap((sameName) => {
      const [longest] = sameName.toSorted((a, b) => observedMs(b.samples) - observedMs(a.samples));
      return longest === undefined ? [] : [growthOf(longest)];
    });
  }
}

function growthOf({ name, pid, samples }: { name: string; pid: number; samples: readonly Sample[] }): ProcessGrowth {
  const quarter = Math.floor(samples.length / 4);
  const quarters = (value: (sample: Sample) => number): Quarters => ({
    first: median(samples.slice(0, quarter).map(value)),
    last: median(samples.slice(-quarter).map(value)),
  });
  return {
    name,
    pid,
    observedMs: observedMs(samples),
    rssBytes: quarters(({ rssBytes }) => rssBytes),
    descriptors: quarters(({ descriptors }) => descriptors),
  };
}

function observedMs(samples: readonly Sample[]): number {
  return (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
}

function readSample(pid: number, atMs: number): Sample | null {
  try {
    const anonymousKiB = Number(/^RssAnon:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    return { atMs, rssBytes: anonymousKiB * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return null;
  }
}
