import { measureDegraded } from './degraded.ts';
import type { Figure } from './figure.ts';
import { measureIdle } from './idle.ts';
import { measureMemory } from './memory.ts';
import { measureNativeCalls } from './native-calls.ts';
import { measureQuery } from './query.ts';
import { measureRecovery } from './recovery.ts';
import { measureTelemetry } from './telemetry.ts';

/** How much is measured. */
export type Extent = 'full' | 'quick';

export interface Section {
  readonly title: string;
  measure(extent: Extent, progress: (text: string) => void): Promise<Figure[]>;
}

/** What the bench measures, by the name that `--only` takes. */
export const sections: Readonly<Record<string, Section>> = {
  recovery: {
    title: 'SIGKILL and restart',
    measure: (extent, progress) =>
      extent === 'quick'
        ? measureRecovery({ rankCounts: [1, 2], rounds: 3, progress })
        : measureRecovery({ rankCounts: [1, 2, 8, 64], rounds: 11, progress }),
  },
  query: {
    title: 'Query through the façade, floor: the bare RPC',
    measure: (extent, progress) => measureQuery({ queries: extent === 'quick' ? 200 : 2_000, progress }),
  },
  degraded: {
    title: 'Calls without a server',
    measure: (extent, progress) => measureDegraded({ batches: extent === 'quick' ? 50 : 500, progress }),
  },
  idle: {
    title: 'Connected and idle, floor: an empty event loop',
    measure: (extent, progress) =>
      measureIdle({
        ranks: 8,
        ...(extent === 'quick' ? { windowMs: 3_000, rounds: 1 } : { windowMs: 40_000, rounds: 3 }),
        progress,
      }),
  },
  memory: {
    title: 'Memory, floor: idle links',
    measure: (extent, progress) =>
      measureMemory(extent === 'quick' ? { ranks: 32, rounds: 1, progress } : { ranks: 512, rounds: 3, progress }),
  },
  telemetry: {
    title: 'Telemetry of a query',
    measure: (extent, progress) => measureTelemetry({ batches: extent === 'quick' ? 10 : 50, progress }),
  },
  native: {
    title: 'Calls of the bindings, floor: a loop in C',
    measure: (extent, progress) =>
      measureNativeCalls({ callsPerRound: extent === 'quick' ? 1_000 : 100_000, rounds: 11, progress }),
  },
};
