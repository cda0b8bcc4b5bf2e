import type { MeterProvider } from '@opentelemetry/api';
import type { DeviceDriver } from '../../native-bindings/device-memory.ts';
import { PEGAFLOW_VERSION } from '../pegaflow-version.ts';
import { type EngineLog, silentLog } from './engine-log.ts';
import type { FaultPatch } from './faults.ts';
import type { MetricsHandler } from './http/http-admin.ts';

/** What an embedded engine is started with. Names in backquotes are pegaflow-server's flags. */
export interface EngineOptions {
  /** gRPC address, `host:port`; port 0 takes any free one. `--addr`, default `127.0.0.1:50055`. */
  readonly addr: string;
  /** HTTP address, `host:port`, or `null` for none. `--http-addr`, default `127.0.0.1:9091` (the server's: `0.0.0.0:9091`). */
  readonly httpAddr: string | null;
  /** Bytes of host memory for blocks, taken as they are needed. `--pool-size`, default 1 GiB (the server's: 30 GiB). */
  readonly poolSizeBytes: number;
  /** The version that clients must have, to the byte, and whose behaviour this is. Default: the newest tested one. */
  readonly version: string;
  /** Whether each block has memory of its own, so that a lease does not hold its whole Save. `--blockwise-alloc`, default false. */
  readonly isAllocationBlockwise: boolean;
  /** Milliseconds between the answer to a Save and its visibility; 0 is one turn of the event loop. Default 0. */
  readonly insertDelayMs: number;
  /**
   * Whether a Load reads blocks in the size of its destination, as the server does: where two layouts share a namespace it
   * then copies what lies behind the block in the pool. Default false: such a Load is refused.
   */
  readonly isLoadSizeUnchecked: boolean;
  /** Life of a query lease in milliseconds. Default 600 000. */
  readonly leaseTtlMs: number;
  /** Milliseconds between HTTP/2 pings to each client. Default 30 000. */
  readonly pingIntervalMs: number;
  /** Milliseconds until an unanswered ping ends the connection. Default 20 000. */
  readonly pingTimeoutMs: number;
  /** Fault switches that are on from the start. Default none. */
  readonly faults: FaultPatch;
  /** Whether `/faults` of the HTTP port shows and changes the switches. Default false. */
  readonly isFaultControlEnabled: boolean;
  /**
   * Whether each registration has its two copy threads, `gpu<device>-save` and `gpu<device>-load`, in the task list of
   * this process, as the server's has: their end tells other processes that its memory is touched no more. Default
   * false, as no other process watches its host's threads for that; the engine as a process has them.
   */
  readonly hasCopyThreads: boolean;
  /** The memory of devices. Default: emulated on POSIX shared memory. */
  readonly driver: DeviceDriver | null;
  /** Where metrics are recorded. Default: the provider registered with `@opentelemetry/api`, if any. */
  readonly meterProvider: MeterProvider | null;
  /** Answers `GET /metrics`; 404 without one. Default none. */
  readonly metricsHandler: MetricsHandler | null;
  /** Default: silent. */
  readonly log: EngineLog;
}

const defaultEngineOptions: EngineOptions = {
  addr: '127.0.0.1:50055',
  httpAddr: '127.0.0.1:9091',
  poolSizeBytes: 2 ** 30,
  version: PEGAFLOW_VERSION,
  isAllocationBlockwise: false,
  insertDelayMs: 0,
  isLoadSizeUnchecked: false,
  leaseTtlMs: 600_000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 20_000,
  faults: {},
  isFaultControlEnabled: false,
  hasCopyThreads: false,
  driver: null,
  meterProvider: null,
  metricsHandler: null,
  log: silentLog,
};

/** An option that cannot be meant. */
export class EngineOptionError extends Error {}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Fills in the defaults. Throws {@link EngineOptionError} naming the option. */
export const engineOptionsFrom = (given: Partial<EngineOptions>): EngineOptions => {
  const options = { ...defaultEngineOptions, ...given };
  for (const name of ['leaseTtlMs', 'pingIntervalMs', 'pingTimeoutMs'] as const) {
    const value = options[name];
    if (value > 0 && value <= MAX_TIMER_MS) continue;
    throw new EngineOptionError(`${name} must be above 0 and at most ${MAX_TIMER_MS}, got ${value}`);
  }
  if (!(options.insertDelayMs >= 0 && options.insertDelayMs <= MAX_TIMER_MS)) {
    throw new EngineOptionError(`insertDelayMs must be from 0 to ${MAX_TIMER_MS}, got ${options.insertDelayMs}`);
  }
  if (!Number.isSafeInteger(options.poolSizeBytes) || options.poolSizeBytes <= 0) {
    throw new EngineOptionError(`poolSizeBytes must be a whole number above 0, got ${options.poolSizeBytes}`);
  }
  return options;
};

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`, where an IPv6 host stands in brackets. Throws {@link EngineOptionError}. */
export const hostPortFrom = (address: string): HostPort => {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new EngineOptionError(`not an address (host:port): ${address}`);
  return { host, port };
};

export const addressFrom = ({ host, port }: HostPort): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
