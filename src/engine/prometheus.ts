import type { MeterProvider } from '@opentelemetry/api';
import type { MeterProviderOptions } from '@opentelemetry/sdk-metrics';
import { messageOf } from './engine-error.ts';
import type { MetricsHandler } from './http-admin.ts';

export interface PrometheusMetrics {
  readonly meterProvider: MeterProvider;
  /** Answers a scrape. */
  readonly handler: MetricsHandler;
}

/**
 * Metrics for `GET /metrics`, and for further readers. The SDK and its exporter are optional peers, loaded here on
 * demand. Rejects with an error that names the command which installs them.
 */
export const createPrometheusMetrics = async (
  options: Pick<MeterProviderOptions, 'resource' | 'readers'> = {},
): Promise<PrometheusMetrics> => {
  const { MeterProvider, PrometheusExporter } = await loadSdk();
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const meterProvider = new MeterProvider({ ...options, readers: [exporter, ...(options.readers ?? [])] });
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
