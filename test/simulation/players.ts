import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Tallies } from './tallies.ts';
import type { Invariant } from './violation.ts';

export interface SeedResult {
  readonly seed: number;
  readonly hash: string;
  readonly tallies: Tallies;
  readonly faultsByKind: Readonly<Record<string, number>>;
  readonly played: readonly number[];
  readonly failure: {
    readonly invariant: Invariant;
    readonly message: string;
    readonly trace: readonly string[];
  } | null;
  readonly coverage: readonly (readonly [string, number])[];
}

export interface PlayOptions {
  readonly from: number;
  readonly count: number;
  /** Child processes among which the seeds are dealt. */
  readonly jobs: number;
  /** Only these faults of the plan, by index. Default: all. */
  readonly faults?: readonly number[];
  readonly mutant?: string;
  /** Called for each seed as it ends; `true` ends the play. */
  readonly onResult: (result: SeedResult) => boolean;
}

const hooks = new URL('./hooks.ts', import.meta.url).href;
const child = new URL('./child.ts', import.meta.url).pathname;

/** Plays seeds in child processes, where time and modules are those of the simulation. Rejects when one of them fails. */
export async function play(options: PlayOptions): Promise<void> {
  let isOver = false;
  const onResult = (result: SeedResult) => {
    isOver ||= options.onResult(result);
    return isOver;
  };
  const jobs = Math.min(options.jobs, options.count);
  await Promise.all(Array.from({ length: jobs }, (_, job) => playShare({ ...options, jobs, onResult }, job)));
}

async function playShare({ from, count, jobs, faults, mutant, onResult }: PlayOptions, job: number): Promise<void> {
  const share = { from: from + job, step: jobs, count: Math.ceil((count - job) / jobs), ...(faults ? { faults } : {}) };
  const environment = { ...process.env, ...(mutant === undefined ? {} : { SIMULATION_MUTANT: mutant }) };
  const player = spawn(process.execPath, ['--import', hooks, child, JSON.stringify(share)], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(player, 'close');
  let isOver = false;
  for await (const line of createInterface({ input: player.stdout })) {
    isOver ||= onResult(JSON.parse(line) as SeedResult);
    if (isOver) player.kill();
  }
  const [code] = await ended;
  if (code !== 0 && !isOver) throw new Error(`a player of the simulation ended with ${code}`);
}
