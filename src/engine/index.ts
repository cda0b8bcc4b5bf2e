export type { EngineLog } from './engine-log.ts';
export { FaultJsonError, faultRequestFrom } from './fault-json.ts';
export type { FaultPatch } from './faults.ts';
export type { MetricsHandler } from './http-admin.ts';
export { EngineOptionError, type EngineOptions } from './options.ts';
export { createPrometheusMetrics, type PrometheusMetrics } from './prometheus.ts';
export { type RunningEngine, startEngine } from './start-engine.ts';
