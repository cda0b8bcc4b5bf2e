export type { EngineLog } from './engine-log.ts';
export type { FaultPatch } from './faults.ts';
export { FaultJsonError, faultRequestFrom } from './http/fault-json.ts';
export type { MetricsHandler } from './http/http-admin.ts';
export { createPrometheusMetrics, type PrometheusMetrics } from './http/prometheus.ts';
export { EngineOptionError, type EngineOptions } from './options.ts';
export { type RunningEngine, startEngine } from './start-engine.ts';
