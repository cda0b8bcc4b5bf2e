/** What a run of the demo can be asked for. */
import type { DeviceKind } from '../device-kind.ts';
import type { ModelPreset } from './model/models.ts';
import type { ServedBy } from './server/served-by.ts';
import type { DemoTelemetry } from './telemetry.ts';
import type { TraceLine, TraceScale } from './workload/trace.ts';

/** Milliseconds, both ends included. */
export interface OutageRange {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface DemoOptions {
  /** The module of the command line, whose `engine` is the embedded engine of a run. */
  readonly commandLine: string;
  readonly servedBy: ServedBy;
  /** Where what the server writes is kept; `null`: it is only counted. */
  readonly serverLogPath: string | null;
  readonly model: ModelPreset;
  /** Where the KV memory lies. On CUDA there is a device for each rank. */
  readonly device: DeviceKind;
  /** Tensor-parallel ranks, one worker process each. */
  readonly ranks: number;
  /** How often the engine is stopped and started again. */
  readonly restarts: number;
  /** How long it stays away; each outage is drawn from the range by the seed. */
  readonly outage: OutageRange;
  /** Requests to replay at least; while restarts are due the replay goes on. `null`: no number ends it. */
  readonly requests: number | null;
  /** How long requests are sent to somebody else's server; `null`: no time ends it. */
  readonly seconds: number | null;
  readonly seed: number;
  /** Requests in flight at a time. */
  readonly concurrency: number;
  /** Device memory of all ranks together, in bytes. */
  readonly deviceMemoryBytes: number;
  /** The server's pool, in bytes. */
  readonly poolSizeBytes: number;
  /** Whether the pool is known to be of that size: somebody else's need not be. */
  readonly isPoolSizeKnown: boolean;
  /** Replayed instead of generated chats. */
  readonly trace: { readonly lines: readonly TraceLine[]; readonly scale: TraceScale } | null;
  /** Whether every transition of every machine is reported to the observer. */
  readonly transitions: boolean;
  /** Whether what the machines do is reported to the observer as records of a feed. */
  readonly fed: boolean;
  /** `null`: the processes tell nobody what they do. */
  readonly telemetry: DemoTelemetry | null;
}
