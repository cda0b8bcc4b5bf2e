import http from 'node:http';
import { metrics, propagation, trace } from '@opentelemetry/api';
import { createPrometheusMetrics } from '../engine/http/prometheus.ts';
import type { MetricsHandler, PrometheusMetrics } from '../engine/index.ts';
import { errorText } from '../error-text.ts';
import { packageVersion } from '../package-version.ts';
import { publicEndpoint, redacted } from '../redacted.ts';
import { traceparentPropagator } from '../telemetry/traces/traceparent.ts';
import { UsageError } from '../usage-error.ts';

export interface SdkOptions {
  /** Base of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`; `null`: nothing is sent. */
  readonly otlpUrl: string | null;
  readonly serviceName: string;
  /** Which of the processes of one run this is. */
  readonly serviceInstance: string;
  /** Hears once, the first time, that something could not be sent, and why. */
  readonly onLost?: (complaint: string) => void;
}

export interface Sdk extends PrometheusMetrics {
  /** Sends what has not been sent yet, and ends. Never rejects: a collector that is gone is no failure of ours. */
  end(): Promise<void>;
}

/** How often what was measured is sent, in milliseconds; short, for a demo. */
const EXPORT_INTERVAL_MS = 1_000;
const SPAN_DELAY_MS = 250;
/** How long one request to the collector may take, in milliseconds. */
const EXPORT_TIMEOUT_MS = 900;

const PACKAGES = [
  'sdk-trace',
  'sdk-metrics',
  'resources',
  'exporter-trace-otlp-http',
  'exporter-metrics-otlp-http',
  'exporter-prometheus',
];

/**
 * Registers an OpenTelemetry SDK for this process, before a connector is made. Its packages are optional peers. Throws a
 * UsageError that names the command which installs them.
 */
export async function startSdk({ otlpUrl, serviceName, serviceInstance, onLost }: SdkOptions): Promise<Sdk> {
  if (otlpUrl === null) {
    const prometheus = await prometheusOr(createPrometheusMetrics());
    metrics.setGlobalMeterProvider(prometheus.meterProvider);
    return { ...prometheus, end: async () => {} };
  }
  const sdk = await loadSdk();
  const resource = sdk.resourceFromAttributes({
    'service.name': serviceName,
    'service.instance.id': serviceInstance,
    'service.version': packageVersion(),
  });
  const exporterOf = (path: string) => ({ url: new URL(path, `${otlpUrl}/`).href, timeoutMillis: EXPORT_TIMEOUT_MS });
  let isLost = false;
  const lose = (reason: string) => {
    if (!isLost) onLost?.(`telemetry could not be exported to ${publicEndpoint(otlpUrl)}: ${redacted(reason)}`);
    isLost = true;
  };
  const reader = new sdk.PeriodicExportingMetricReader({
    exporter: tellingFailures(new sdk.OTLPMetricExporter(exporterOf('v1/metrics')), lose),
    exportIntervalMillis: EXPORT_INTERVAL_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const exporter = tellingFailures(new sdk.OTLPTraceExporter(exporterOf('v1/traces')), lose);
  const tracerProvider = new sdk.TracerProvider({
    resource,
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter, scheduledDelayMillis: SPAN_DELAY_MS })],
  });
  const prometheus = await prometheusOr(createPrometheusMetrics({ resource, readers: [reader] }));
  propagation.setGlobalPropagator(traceparentPropagator);
  trace.setGlobalTracerProvider(tracerProvider);
  metrics.setGlobalMeterProvider(prometheus.meterProvider);
  const end = async () => {
    await Promise.allSettled([tracerProvider.shutdown(), reader.shutdown()]);
  };
  return { ...prometheus, end };
}

/** Throws the same UsageError, and starts nothing. */
export async function checkSdk(otlpUrl: string | null): Promise<void> {
  await prometheusOr(createPrometheusMetrics());
  if (otlpUrl !== null) await loadSdk();
}

/** Serves what was measured to Prometheus, on this host alone. Rejects where the port is taken. */
export async function serveMetrics(handler: MetricsHandler, port: number): Promise<void> {
  const server = http.createServer((request, response) => {
    if (request.url === '/metrics') handler(request, response);
    else response.writeHead(404).end('not found');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  server.unref();
}

async function prometheusOr(made: Promise<PrometheusMetrics>): Promise<PrometheusMetrics> {
  try {
    return await made;
  } catch (error) {
    throw new UsageError(errorText(error), { cause: error });
  }
}

async function loadSdk() {
  try {
    const [traces, resources, traceExporter, metricExporter, metrics] = await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/exporter-metrics-otlp-http'),
      import('@opentelemetry/sdk-metrics'),
    ]);
    const { TracerProvider, BatchSpanProcessor } = traces;
    const { OTLPTraceExporter } = traceExporter;
    const { OTLPMetricExporter } = metricExporter;
    const { PeriodicExportingMetricReader } = metrics;
    const { resourceFromAttributes } = resources;
    return {
      TracerProvider,
      BatchSpanProcessor,
      OTLPTraceExporter,
      OTLPMetricExporter,
      PeriodicExportingMetricReader,
      resourceFromAttributes,
    };
  } catch (error) {
    const names = PACKAGES.map((name) => `@opentelemetry/${name}`).join(' ');
    throw new UsageError(`--otlp needs further packages: npm install ${names} (${errorText(error)})`, { cause: error });
  }
}

interface Exporter<Items> {
  export(items: Items, done: (result: { readonly code: number; readonly error?: Error }) => void): void;
}

/** The SDK tells failures to its global error handler alone, and that to nobody by default. */
function tellingFailures<Items, E extends Exporter<Items>>(exporter: E, onFailure: (reason: string) => void): E {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) => {
    send(items, (result) => {
      if (result.error !== undefined) onFailure(errorText(result.error));
      done(result);
    });
  };
  return exporter;
}
