/** How and when the engine is stopped, drawn by the seed before the run. */
import type { StopKind } from '../journal.ts';
import type { DemoOptions } from '../options.ts';
import { drawInteger } from './random.ts';

export interface PlannedRestart {
  readonly kind: StopKind;
  /** From the stop to the next start; 0 for `kill at once`. */
  readonly outageMs: number;
  /** Requests that finish after the recovery before, at least. */
  readonly afterRequests: number;
  /** The moment: while a load is in flight, or this many milliseconds later. */
  readonly moment: 'load in flight' | number;
}

const KINDS: readonly StopKind[] = ['kill', 'kill at once', 'graceful'];
/** Between two restarts at least this many requests finish. */
const MIN_REQUESTS_BETWEEN = 5;
const LONGEST_PAUSE_MS = 200;

export function planRestarts(
  { restarts, requests, outage }: Pick<DemoOptions, 'restarts' | 'outage'> & { readonly requests: number },
  random: () => number,
): PlannedRestart[] {
  const afterRequests = Math.max(MIN_REQUESTS_BETWEEN, Math.floor(requests / (restarts + 1)));
  return Array.from({ length: restarts }, (_, index): PlannedRestart => {
    const kind = KINDS[index % KINDS.length] ?? 'kill';
    const outageMs = drawInteger(random, outage.fromMs, outage.toMs);
    const isCaught = random() < 0.5;
    const pauseMs = drawInteger(random, 0, LONGEST_PAUSE_MS);
    return {
      kind,
      outageMs: kind === 'kill at once' ? 0 : outageMs,
      afterRequests,
      moment: kind === 'kill' || (kind === 'kill at once' && isCaught) ? 'load in flight' : pauseMs,
    };
  });
}
