/** What a soak came to, as data. */
import { quantile } from '../../bench/statistics.ts';
import type { LeakCounts } from '../../src/demo/leaks.ts';
import type { CallLedger } from './call-ledger.ts';
import type { ProcessGrowth } from './process-growth.ts';
import type { Round } from './round.ts';
import type { TrafficTotals } from './traffic-totals.ts';

export interface SoakSummary {
  readonly ok: boolean;
  readonly minutes: number;
  readonly seed: number;
  readonly rounds: number;
  /** How often the connector was `connected` again after it had left that state. */
  readonly recoveries: number;
  readonly faults: readonly FaultFigures[];
  /** Rounds in which the connector's processes saw no process of a server. */
  readonly blindRounds: number;
  /** How often so much memory was held in them that nothing hit any more. */
  readonly endsByHeldMemory: number;
  /** Calls of them that had no end because nothing proved it, or a late one. */
  readonly heldCalls: number;
  readonly detectionMs: Spread | null;
  readonly recoveryMs: Spread | null;
  readonly firstHitMs: Spread | null;
  readonly traffic: Pick<
    TrafficTotals,
    'requests' | 'abandonedRequests' | 'queries' | 'hitBlocks' | 'loads' | 'saves' | 'verifiedBytes'
  >;
  /** Queries that missed, by why. */
  readonly misses: Readonly<Record<string, number>>;
  /** Transfers that were in quarantine, by what ended them. */
  readonly quarantineEnds: Readonly<Record<string, number>>;
  readonly growth: readonly ProcessGrowth[];
  readonly zeros: SoakZeros;
  readonly defects: readonly string[];
}

/** What must be 0. */
export interface SoakZeros extends LeakCounts {
  readonly wrongBytes: number;
  readonly hungCalls: number;
  readonly reportedOtherThanOnce: number;
  readonly unsafeReleases: number;
  readonly grownProcesses: number;
}

/** In milliseconds. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
}

export interface FaultFigures {
  readonly kind: string;
  /** How often it struck. */
  readonly count: number;
  /** From the start of a round of this fault alone to the scheduler leaving `connected`. */
  readonly detectionMs: Spread | null;
  /** From the end of the fault to the scheduler being `connected`, in rounds of this fault alone that it noticed. */
  readonly recoveryMs: Spread | null;
}

export interface SoakFacts {
  readonly durationMs: number;
  readonly seed: number;
  readonly rounds: readonly Round[];
  readonly defects: readonly string[];
  readonly calls: CallLedger;
  readonly traffic: TrafficTotals;
  readonly growth: readonly ProcessGrowth[];
  readonly leaks: LeakCounts;
}

/** Growth is judged in processes that were observed at least so long: a young one still warms up. */
const JUDGED_AFTER_MS = 5 * 60_000;
/** The most by which the last quarter of a life may exceed the first. */
const MAX_DESCRIPTOR_GROWTH = 8;
/** Ten minutes are some 10 000 requests and 80 recoveries: 400 bytes a request or 50 KiB a recovery are noticed. */
const MAX_LIVE_GROWTH_BYTES = 4 << 20;
/** In half an hour of faults 0.2 to 1.8 MiB come: eight times as much is noticed. */
const MAX_NATIVE_GROWTH_BYTES = 16 << 20;

export function summaryOf({
  durationMs,
  seed,
  rounds,
  defects,
  calls,
  traffic,
  growth,
  leaks,
}: SoakFacts): SoakSummary {
  const noticed = rounds.filter(({ leftAtMs }) => leftAtMs !== null);
  const kinds = [...new Set(rounds.flatMap(({ kinds }) => kinds))].sort();
  const zeros: SoakZeros = {
    wrongBytes: traffic.wrongBytes,
    hungCalls: calls.hung,
    reportedOtherThanOnce: calls.reportedOtherThanOnce,
    unsafeReleases: traffic.unsafeReleases,
    grownProcesses: growth.filter(hasGrown).length,
    ...leaks,
  };
  return {
    ok: defects.length === 0 && Object.values(zeros).every((count) => count === 0),
    minutes: durationMs / 60_000,
    seed,
    rounds: rounds.length,
    recoveries: noticed.length,
    blindRounds: rounds.filter(({ isBlind }) => isBlind).length,
    endsByHeldMemory: rounds.filter(({ endedHeld }) => endedHeld).length,
    heldCalls: calls.held,
    faults: kinds.map((kind) => figuresOf(kind, rounds)),
    detectionMs: spreadOf(rounds.filter(({ kinds }) => kinds.length === 1).flatMap(detectionMs)),
    recoveryMs: spreadOf(noticed.filter(hasRecovered).map(recoveryMs)),
    firstHitMs: spreadOf(noticed.filter(hasRecovered).map(({ hitAtMs, repairedAtMs }) => hitAtMs - repairedAtMs)),
    traffic: {
      requests: traffic.requests,
      abandonedRequests: traffic.abandonedRequests,
      queries: traffic.queries,
      hitBlocks: traffic.hitBlocks,
      loads: traffic.loads,
      saves: traffic.saves,
      verifiedBytes: traffic.verifiedBytes,
    },
    misses: Object.fromEntries(traffic.misses),
    quarantineEnds: Object.fromEntries(traffic.quarantineEnds),
    growth,
    zeros,
    defects,
  };
}

function figuresOf(kind: string, rounds: readonly Round[]): FaultFigures {
  const alone = rounds.filter(({ kinds }) => kinds.length === 1 && kinds[0] === kind);
  return {
    kind,
    count: rounds.filter(({ kinds }) => kinds.includes(kind)).length,
    detectionMs: spreadOf(alone.flatMap(detectionMs)),
    recoveryMs: spreadOf(
      alone
        .filter(({ leftAtMs }) => leftAtMs !== null)
        .filter(hasRecovered)
        .map(recoveryMs),
    ),
  };
}

function detectionMs({ leftAtMs, startedAtMs }: Round): number[] {
  return leftAtMs === null ? [] : [leftAtMs - startedAtMs];
}

/** New processes say nothing about the recovery of the old ones. */
function hasRecovered({ endedHeld }: Round): boolean {
  return !endedHeld;
}

function recoveryMs({ connectedAtMs, repairedAtMs }: Round): number {
  return connectedAtMs - repairedAtMs;
}

function spreadOf(samples: readonly number[]): Spread | null {
  if (samples.length === 0) return null;
  return {
    count: samples.length,
    p50: quantile(samples, 0.5),
    p99: quantile(samples, 0.99),
    worst: Math.max(...samples),
  };
}

/** The engine is killed too often to be judged. */
function hasGrown({ name, observedMs, liveBytes, nativeBytes, descriptors }: ProcessGrowth): boolean {
  const isJudged = (name === 'scheduler' || name.startsWith('rank')) && observedMs >= JUDGED_AFTER_MS;
  const isGrown =
    descriptors.last - descriptors.first > MAX_DESCRIPTOR_GROWTH ||
    liveBytes.last - liveBytes.first > MAX_LIVE_GROWTH_BYTES ||
    nativeBytes.last - nativeBytes.first > MAX_NATIVE_GROWTH_BYTES;
  return isJudged && isGrown;
}
