/** One round of a soak: its faults strike, end, and are recovered from. */
import { setTimeout as pause } from 'node:timers/promises';
import { stateOf } from '../../machines/index.ts';
import { within } from '../../src/demo/deadline.ts';
import type { Progress } from '../../src/demo/progress.ts';
import type { RunLog } from '../../src/demo/run-log.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import type { FaultWorld } from './faults/fault.ts';
import { clearFaults } from './faults/index.ts';
import type { RoundPlan } from './round-plan.ts';
import type { TrafficTotals } from './traffic-totals.ts';

/** From the end of the last fault of a round to `connected`, and from there to a hit, in milliseconds. */
const RECOVERY_LIMIT_MS = 30_000;
const HIT_LIMIT_MS = 30_000;

/** Moments are wall-clock milliseconds. */
export interface Round {
  readonly kinds: readonly string[];
  readonly startedAtMs: number;
  /** When the last fault was over. */
  readonly repairedAtMs: number;
  /** When the scheduler left `connected`; `null` where it did not. */
  readonly leftAtMs: number | null;
  /** When every machine was `connected` for good: no earlier than the repair. */
  readonly connectedAtMs: number;
  /** When a query that was sent since the repair was seen to have hit. */
  readonly hitAtMs: number;
  /** The connector's processes saw no process of a server. */
  readonly isBlind: boolean;
  /** Without proof so much memory was held that nothing hit any more, so the connector's processes were replaced. */
  readonly endedHeld: boolean;
}

/** What a round is run in. */
export interface Running {
  readonly world: Omit<FaultWorld, 'random'>;
  readonly log: RunLog;
  readonly traffic: TrafficTotals;
  /** `leftAtMs`: when `connected` was left first since this was set to `null`. */
  readonly service: { leftAtMs: number | null };
}

/** Rejects where the cache is not hit again in time. */
export async function runRound(plan: RoundPlan, running: Running): Promise<Round> {
  const { world, log, service } = running;
  const startedAtMs = wallTimeMs();
  const kinds = plan.map(({ fault }) => fault.kind);
  service.leftAtMs = null;
  await log.orFailure(
    Promise.all(
      plan.map(async ({ fault, startsAfterMs, random }) => {
        await pause(startsAfterMs);
        await fault.run({ ...world, random });
      }),
    ),
  );
  await clearFaults(world);
  const repairedAtMs = wallTimeMs();
  const { isBlind } = world.processes;
  const endedHeld = !(await isServing(running, kinds.join(' + '), isBlind));
  if (endedHeld) await restoreSight(running);
  return {
    kinds,
    startedAtMs,
    repairedAtMs,
    leftAtMs: service.leftAtMs,
    connectedAtMs: Math.max(repairedAtMs, ...[...log.progress.machines.values()].map(({ sinceMs }) => sinceMs)),
    hitAtMs: wallTimeMs(),
    isBlind,
    endedHeld,
  };
}

/** Replaces the connector's processes by such as see the server: what the others held went down with them. */
export async function restoreSight(running: Running): Promise<void> {
  const { processes } = running.world;
  await processes.killScheduler();
  await processes.startScheduler();
  await untilServing(running, RECOVERY_LIMIT_MS, 'the start of a connector that sees the server');
}

/**
 * `false` where it is only explained: nothing hits since what is held without proof is at its limit, or since every client
 * waits for the end of a load that nobody can prove.
 */
async function isServing(running: Running, after: string, isBlind: boolean): Promise<boolean> {
  const { traffic } = running;
  const before = { limited: traffic.limited, queries: traffic.queries };
  try {
    await untilServing(running, RECOVERY_LIMIT_MS, after);
    return true;
  } catch (error) {
    if (isBlind && (traffic.limited > before.limited || traffic.queries === before.queries)) return false;
    throw error;
  }
}

/**
 * Settles when a query that is sent from now on has hit; rejects where it is not connected after `limitMs`, or not hit after
 * that, saying where its machines are.
 */
export async function untilServing(
  { log, traffic }: Pick<Running, 'log' | 'traffic'>,
  limitMs: number,
  after: string,
): Promise<void> {
  const sinceMs = wallTimeMs();
  if (!(await isMet(limitMs, log.until(isConnected)))) {
    throw new Error(`not connected ${limitMs} ms after ${after}; ${whereIs(log)}`);
  }
  // What nobody has noticed yet looks connected still: only a later query tells.
  const isHit = (progress: Progress) =>
    isConnected(progress) && progress.hasHitSinceConnected && (traffic.lastHitSentAtMs ?? 0) >= sinceMs;
  if (await isMet(HIT_LIMIT_MS, log.until(isHit))) return;
  throw new Error(`no hit in ${HIT_LIMIT_MS} ms after ${after}; ${whereIs(log)}`);
}

/** Every machine: a rank that was killed is back only when it serves. */
function isConnected({ machines }: Progress): boolean {
  return [...machines.values()].every(({ path }) => stateOf(path) === 'connected') && machines.size > 0;
}

function isMet(limitMs: number, condition: Promise<void>): Promise<boolean> {
  return within(
    limitMs,
    condition.then(() => true),
    false,
  );
}

function whereIs({ progress }: RunLog): string {
  return [...progress.machines]
    .map(([name, { path, fault }]) => `${name}: ${path} (${fault ?? 'no fault'})`)
    .join(', ');
}

/** For people. */
export function roundText(round: Round): string {
  const { kinds, startedAtMs, repairedAtMs, leftAtMs, connectedAtMs, hitAtMs, isBlind, endedHeld } = round;
  const noticed = leftAtMs === null ? 'not noticed' : `noticed after ${Math.round(leftAtMs - startedAtMs)} ms`;
  const back = `connected ${Math.round(connectedAtMs - repairedAtMs)} ms after its end, hit ${Math.round(hitAtMs - repairedAtMs)} ms`;
  const sight = isBlind ? ' (pids invisible)' : '';
  const held = endedHeld ? ', by new processes: so much was held without proof that nothing hit' : '';
  return `${kinds.join(' + ')}${sight}: ${noticed}; ${back}${held}`;
}
