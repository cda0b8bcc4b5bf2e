/** When the cache could not be used, as measured: the windows that explain the misses of a run. */
import { stateOf } from '../../../machines/index.ts';
import { type DemoEvent, eventsOf, type StopKind } from '../journal.ts';

export interface Outage {
  /** When the server was told to stop or killed; `null` where nothing was stopped here (the start; a lost registration). */
  readonly stoppedAtMs: number | null;
  /** `elsewhere`: somebody else may have stopped it; whether it lost what it held is not known. */
  readonly stopKind: StopKind | 'elsewhere' | null;
  readonly outageMs: number;
  /** When the scheduler left `connected`; `null` if it did not before the end. */
  readonly noticedAtMs: number | null;
  /** When the engine that follows was listening. */
  readonly listeningAtMs: number | null;
  /** When the scheduler was `connected` again. */
  readonly recoveredAtMs: number | null;
}

/**
 * How long before the scheduler notices it somebody else's server may have been gone, in milliseconds: what was asked
 * since may have met a server that was ending.
 */
const UNNOTICED_MS = 1_000;

/** The outages of a run in order. The first is the start, up to the first `connected`. */
export function outagesOf(events: readonly DemoEvent[], isServerForeign = false): Outage[] {
  const changes = eventsOf(events, 'status.changed')
    .filter(({ machine, path }) => machine === 'scheduler' && !ENDING.includes(stateOf(path)))
    .map(({ atMs, path }) => ({
      atMs,
      connected: stateOf(path) === 'connected',
      answered: ANSWERED.includes(stateOf(path)),
    }));
  const listening = eventsOf(events, 'engine.listening');
  const stops = eventsOf(events, 'engine.stopped');
  const gaps = disconnectedGaps(changes);
  const first: Outage = {
    stoppedAtMs: null,
    stopKind: null,
    outageMs: 0,
    noticedAtMs: Number.NEGATIVE_INFINITY,
    listeningAtMs: listening[0]?.atMs ?? null,
    recoveredAtMs: changes.find(({ connected }) => connected)?.atMs ?? null,
  };
  const ofStops = stops.map((stop, index): Outage => {
    const noticedAtMs = gaps.find(({ fromMs }) => fromMs >= stop.atMs)?.fromMs ?? null;
    const listeningAtMs = listening.find(({ atMs }) => atMs > stop.atMs)?.atMs ?? null;
    const nextStopAtMs = stops[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const recovered = changes.find(
      ({ atMs, connected }) => connected && listeningAtMs !== null && atMs >= listeningAtMs && atMs < nextStopAtMs,
    );
    return {
      stoppedAtMs: stop.atMs,
      stopKind: stop.kind,
      outageMs: stop.outageMs,
      noticedAtMs,
      listeningAtMs,
      recoveredAtMs: recovered?.atMs ?? null,
    };
  });
  const unexplained = gaps
    .filter(({ fromMs }) => !ofStops.some((outage) => covers(outage, fromMs)))
    .map(
      ({ fromMs, untilMs }): Outage => ({
        ...first,
        stopKind: isServerForeign ? 'elsewhere' : null,
        noticedAtMs: fromMs,
        listeningAtMs: isServerForeign
          ? (changes.find(({ atMs, answered }) => atMs > fromMs && answered)?.atMs ?? null)
          : null,
        recoveredAtMs: untilMs,
      }),
    );
  return [first, ...ofStops, ...unexplained].sort((a, b) => startOf(a) - startOf(b));
}

/** Whether a machine was `connected` at a time, by its own account. */
export function connectedTimes(events: readonly DemoEvent[], machine: string): (atMs: number) => boolean {
  const changes = eventsOf(events, 'status.changed').filter((change) => change.machine === machine);
  return (atMs) => stateOf(changes.findLast((change) => change.atMs <= atMs)?.path ?? '') === 'connected';
}

/** When the cache began to be unusable, at the earliest. */
export function startOf({ stoppedAtMs, stopKind, noticedAtMs }: Outage): number {
  const noticed = noticedAtMs ?? Number.POSITIVE_INFINITY;
  return stopKind === 'elsewhere' ? noticed - UNNOTICED_MS : Math.min(stoppedAtMs ?? Number.POSITIVE_INFINITY, noticed);
}

function covers(outage: Outage, atMs: number): boolean {
  return startOf(outage) <= atMs && atMs <= (outage.recoveredAtMs ?? Number.POSITIVE_INFINITY);
}

/** States of a connector that its host has stopped: no outage. */
const ENDING = ['stopping', 'stopped'];

/** States in which a server answers again. */
const ANSWERED = ['reRegistering', 'connected', 'incompatible'];

interface Gap {
  readonly fromMs: number;
  readonly untilMs: number | null;
}

/** From each time `connected` was left to the next time it was entered. */
function disconnectedGaps(changes: readonly { readonly atMs: number; readonly connected: boolean }[]): Gap[] {
  const gaps: Gap[] = [];
  let connected = false;
  let fromMs: number | null = null;
  for (const change of changes) {
    if (connected && !change.connected) fromMs = change.atMs;
    if (!connected && change.connected && fromMs !== null) {
      gaps.push({ fromMs, untilMs: change.atMs });
      fromMs = null;
    }
    connected = change.connected;
  }
  if (fromMs !== null) gaps.push({ fromMs, untilMs: null });
  return gaps;
}
