import type { Figure } from '../figure.ts';
import type { ServerChoice } from '../servers/server-choice.ts';
import { measureDegraded } from './degraded.ts';
import { measureIdle } from './idle.ts';
import { measureMemory } from './memory.ts';
import { measureNativeCalls } from './native-calls.ts';
import { measureQuery } from './query.ts';
import { measureRecovery } from './recovery.ts';
import { measureTelemetry } from './telemetry.ts';

/** How much is measured. */
export type Extent = 'full' | 'quick';

export interface SectionOptions {
  readonly extent: Extent;
  readonly server: ServerChoice;
  readonly progress: (text: string) => void;
}

export interface Section {
  readonly title: string;
  /** Why a published server has no part in it; `null`: any server can be measured with. */
  readonly serverless: string | null;
  measure(options: SectionOptions): Promise<Figure[]>;
}

/** What the bench measures, by the name that `--only` takes. */
export const sections: Readonly<Record<string, Section>> = {
  recovery: {
    title: 'SIGKILL and restart',
    serverless: null,
    measure: ({ extent, server, progress }) =>
      extent === 'quick'
        ? measureRecovery({ rankCounts: [1, 2], rounds: 3, server, progress })
        : measureRecovery({ rankCounts: [1, 2, 8, 64], rounds: 11, server, progress }),
  },
  query: {
    title: 'Query through the façade, floor: the bare RPC',
    serverless: null,
    measure: ({ extent, server, progress }) =>
      measureQuery({ queries: extent === 'quick' ? 200 : 2_000, server, progress }),
  },
  degraded: {
    title: 'Calls without a server',
    serverless: null,
    measure: ({ extent, server, progress }) =>
      measureDegraded({ batches: extent === 'quick' ? 50 : 500, server, progress }),
  },
  idle: {
    title: 'Connected and idle, floor: an empty event loop',
    serverless: null,
    measure: ({ extent, server, progress }) =>
      measureIdle({
        ranks: 8,
        ...(extent === 'quick' ? { windowMs: 3_000, rounds: 1 } : { windowMs: 40_000, rounds: 3 }),
        server,
        progress,
      }),
  },
  memory: {
    title: 'Memory, floor: idle links',
    serverless: null,
    measure: ({ extent, server, progress }) =>
      measureMemory(
        extent === 'quick' ? { ranks: 32, rounds: 1, server, progress } : { ranks: 512, rounds: 3, server, progress },
      ),
  },
  telemetry: {
    title: 'Telemetry of a query',
    serverless: 'needs no server: a stand-in answers the call',
    measure: ({ extent, progress }) => measureTelemetry({ batches: extent === 'quick' ? 10 : 50, progress }),
  },
  native: {
    title: 'Calls of the bindings, floor: a loop in C',
    serverless: 'needs no server: it calls a stand-in for libcudart',
    measure: ({ extent, progress }) =>
      measureNativeCalls({ callsPerRound: extent === 'quick' ? 1_000 : 100_000, rounds: 11, progress }),
  },
};
