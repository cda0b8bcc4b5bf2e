/** What was measured of each restart. */
import { type DemoEvent, eventsOf, type StopKind } from '../journal.ts';
import { type Outage, startOf } from './outages.ts';

export interface RestartReport {
  /** `elsewhere`: not by this run. */
  readonly stop: StopKind | 'elsewhere';
  /** How long the engine was to stay away. */
  readonly plannedOutageMs: number;
  /** From the stop (or its notice, where somebody else stopped it) to the new server listening. */
  readonly awayMs: number | null;
  /** From the stop to the scheduler leaving `connected`. */
  readonly detectionMs: number | null;
  /** From the new engine listening to the scheduler being `connected` again: all ranks registered. */
  readonly registeredMs: number | null;
  /** From the new engine listening to the first hit, which can only be on something saved since. */
  readonly firstHitMs: number | null;
  readonly missedQueries: number;
  readonly refusedLoads: number;
  readonly refusedSaves: number;
  readonly loadsInFlight: { readonly succeeded: number; readonly failed: number };
}

export function restartReports(events: readonly DemoEvent[], outages: readonly Outage[]): RestartReport[] {
  const restarts = outages.filter(({ stopKind }) => stopKind !== null);
  return restarts.map((outage, index) => {
    const next = restarts[index + 1];
    return restartReport(events, outage, next === undefined ? Number.POSITIVE_INFINITY : startOf(next));
  });
}

function restartReport(events: readonly DemoEvent[], outage: Outage, untilMs: number): RestartReport {
  const { stoppedAtMs, stopKind, noticedAtMs, listeningAtMs, recoveredAtMs } = outage;
  const fromMs = stoppedAtMs ?? noticedAtMs ?? startOf(outage);
  const within = ({ atMs }: { readonly atMs: number }) => atMs >= fromMs && atMs < untilMs;
  const answers = eventsOf(events, 'query.answered').filter(within);
  const firstHit = answers.find(
    ({ atMs, result }) => recoveredAtMs !== null && atMs >= recoveredAtMs && result === 'hit',
  );
  const missedUntilMs = recoveredAtMs ?? untilMs;
  const inFlight = loadsInFlightAt(events, fromMs);
  return {
    stop: stopKind ?? 'kill',
    plannedOutageMs: outage.outageMs,
    awayMs: difference(listeningAtMs, stoppedAtMs ?? noticedAtMs),
    detectionMs: difference(noticedAtMs, stoppedAtMs),
    registeredMs: difference(recoveredAtMs, listeningAtMs),
    firstHitMs: difference(firstHit?.atMs ?? null, listeningAtMs),
    missedQueries: answers.filter(({ atMs, result }) => result === 'miss' && atMs <= missedUntilMs).length,
    refusedLoads:
      refusedBetween(events, 'loads', fromMs, untilMs) + eventsOf(events, 'load.refused').filter(within).length,
    refusedSaves: refusedBetween(events, 'saves', fromMs, untilMs),
    loadsInFlight: {
      succeeded: inFlight.filter(({ succeeded }) => succeeded).length,
      failed: inFlight.filter(({ succeeded }) => !succeeded).length,
    },
  };
}

function difference(laterMs: number | null, earlierMs: number | null): number | null {
  return laterMs === null || earlierMs === null ? null : laterMs - earlierMs;
}

/** The ends of the loads that were scheduled before `atMs` and ended after it. */
function loadsInFlightAt(events: readonly DemoEvent[], stoppedAtMs: number) {
  const scheduled = new Set(
    eventsOf(events, 'load.scheduled').flatMap(({ requestId, atMs }) => (atMs <= stoppedAtMs ? [requestId] : [])),
  );
  return eventsOf(events, 'load.ended').filter(({ requestId, atMs }) => scheduled.has(requestId) && atMs > stoppedAtMs);
}

/** How far the workers' counters of refusals went up, over all ranks. */
function refusedBetween(
  events: readonly DemoEvent[],
  what: 'loads' | 'saves',
  fromMs: number,
  untilMs: number,
): number {
  const counted = eventsOf(events, 'worker.counted');
  const totalAt = (atMs: number) => {
    const latest = new Map(
      counted.filter((event) => event.atMs < atMs).map((event) => [event.rank, event[what].refused]),
    );
    return [...latest.values()].reduce((sum, refused) => sum + refused, 0);
  };
  return totalAt(untilMs) - totalAt(fromMs);
}
