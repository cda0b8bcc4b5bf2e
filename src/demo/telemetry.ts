import { RunError } from './run-error.ts';
import { portComplaint } from './server/free-port.ts';

/** What the processes of a run tell, and to whom. */
export interface DemoTelemetry {
  /** URL of a module that every host loads before anything else. */
  readonly preload: string;
  /** Base of an OTLP/HTTP collector; `null`: none. */
  readonly otlpUrl: string | null;
  /** The scheduler's, on the loopback; rank `n` has the one `1 + n` above it, the engine the next. `null`: none. */
  readonly metricsPort: number | null;
}

/** What a host finds in its environment. */
export const TELEMETRY_ENV = {
  otlpUrl: 'PEGAFLOW_OTLP_URL',
  metricsPort: 'PEGAFLOW_METRICS_PORT',
  processName: 'PEGAFLOW_PROCESS',
} as const;

/** Names of the processes of a run, as they tell who they are. */
export const processNames = { scheduler: 'scheduler', rank: (rank: number) => `rank ${rank}` };

/** The port of a process by its name: the scheduler's, then one for each rank. */
export function metricsPortOf(firstPort: number, processName: string): number {
  const [, rank] = /^rank (\d+)$/.exec(processName) ?? [];
  return rank === undefined ? firstPort : firstPort + 1 + Number(rank);
}

/** Rejects with a {@link RunError} that names the port where one of the processes could not serve its metrics. */
export async function checkMetricsPorts(firstPort: number, ranks: number): Promise<void> {
  const names = [
    processNames.scheduler,
    ...Array.from({ length: ranks }, (_, rank) => processNames.rank(rank)),
    'engine',
  ];
  for (const [index, name] of names.entries()) {
    const complaint = await portComplaint(firstPort + index);
    if (complaint !== null) throw new RunError(`--metrics-port: 127.0.0.1:${firstPort + index} (${name}) ${complaint}`);
  }
}

/** Where the processes of a run serve their metrics, in one line. */
export function metricsPlaces(firstPort: number, ranks: number): string {
  const ofRanks = ranks === 1 ? `${firstPort + 1} (rank 0)` : `${firstPort + 1} to ${firstPort + ranks} (ranks)`;
  return `http://127.0.0.1:${firstPort}/metrics (scheduler), at ports ${ofRanks} and ${firstPort + 1 + ranks} (engine)`;
}

/** How the hosts of a run are forked: those that the scheduler's forks inherit it. */
export function forkOptionsOf(telemetry: DemoTelemetry | null): {
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
} {
  if (telemetry === null) return {};
  const { preload, otlpUrl, metricsPort } = telemetry;
  return {
    execArgv: ['--import', preload],
    env: {
      [TELEMETRY_ENV.processName]: processNames.scheduler,
      ...(otlpUrl === null ? {} : { [TELEMETRY_ENV.otlpUrl]: otlpUrl }),
      ...(metricsPort === null ? {} : { [TELEMETRY_ENV.metricsPort]: String(metricsPort) }),
    },
  };
}

/** Where the server of a run serves its metrics; `null`: nobody asks. */
export function engineMetricsPort(telemetry: DemoTelemetry | null, ranks: number): number | null {
  const metricsPort = telemetry?.metricsPort ?? null;
  return metricsPort === null ? null : metricsPort + 1 + ranks;
}

/** Flags of `pegaflow-lifecycle engine`. */
export function engineFlagsOf(telemetry: DemoTelemetry | null, ranks: number): string[] {
  const otlpUrl = telemetry?.otlpUrl ?? null;
  const httpPort = engineMetricsPort(telemetry, ranks);
  return [
    '--http-addr',
    `127.0.0.1:${httpPort ?? 0}`,
    httpPort === null ? '--no-metrics' : '--metrics',
    ...(otlpUrl === null ? [] : ['--otlp', otlpUrl]),
  ];
}
