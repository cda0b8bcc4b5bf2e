import type { MeterProvider } from '@opentelemetry/api';
import { messageOf } from './engine-error.ts';
import type { MetricsHandler } from './http-admin.ts';

export interface PrometheusMetrics {
  readonly meterProvider: MeterProvider;
  /** Answers a scrape. */
  readonly handler: MetricsHandler;
}

/** Metrics for `GET /metrics`. The SDK and its exporter are optional peers, loaded here and nowhere else. */
export const createPrometheusMetrics = async (): Promise<PrometheusMetrics> => {
  const { MeterProvider, PrometheusExporter } = await loadSdk();
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const meterProvider = new MeterProvider({ readers: [exporter] });
  return { meterProvider, handler: (request, response) => exporter.getMetricsRequestHandler(request, response) };
};

const loadSdk = async () => {
  try {
    const [sdk, exporter] = await Promise.all([
      import('@opentelemetry/sdk-metrics'),
      import('@opentelemetry/exporter-prometheus'),
    ]);
    return { MeterProvider: sdk.MeterProvider, PrometheusExporter: exporter.PrometheusExporter };
  } catch (error) {
    throw new Error(
      'metrics need two more packages: npm install @opentelemetry/sdk-metrics @opentelemetry/exporter-prometheus ' +
        `(${messageOf(error)})`,
      { cause: error },
    );
  }
};
