import type { ServerResponse } from 'node:http';
import type { MeterProvider } from '@opentelemetry/api';
import type { MeterProviderOptions } from '@opentelemetry/sdk-metrics';
import { messageOf } from '../engine-error.ts';
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
  const { MeterProvider, PrometheusExporter, PrometheusSerializer } = await loadSdk();
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer();
  const meterProvider = new MeterProvider({ ...options, readers: [exporter, ...(options.readers ?? [])] });
  const page = async () => withoutUnits(serializer.serialize((await exporter.collect()).resourceMetrics));
  return { meterProvider, handler: (_, response) => void scraped(page()).then((reply) => send(response, reply)) };
};

interface Scrape {
  readonly status: number;
  readonly text: string;
}

const scraped = async (page: Promise<string>): Promise<Scrape> => {
  try {
    return { status: 200, text: await page };
  } catch (error) {
    return { status: 500, text: messageOf(error) };
  }
};

/** Its length goes along, which lets HEAD be answered too. */
const send = (response: ServerResponse, { status, text }: Scrape): void => {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
};

/** `# UNIT` belongs to OpenMetrics: Prometheus' own text format, which this is, takes it for a comment. */
const withoutUnits = (text: string): string => text.replaceAll(/^# UNIT .*\n/gm, '');

const loadSdk = async () => {
  try {
    const [sdk, exporter] = await Promise.all([
      import('@opentelemetry/sdk-metrics'),
      import('@opentelemetry/exporter-prometheus'),
    ]);
    const { PrometheusExporter, PrometheusSerializer } = exporter;
    return { MeterProvider: sdk.MeterProvider, PrometheusExporter, PrometheusSerializer };
  } catch (error) {
    throw new Error(
      'metrics need two more packages: npm install @opentelemetry/sdk-metrics @opentelemetry/exporter-prometheus ' +
        `(${messageOf(error)})`,
      { cause: error },
    );
  }
};
