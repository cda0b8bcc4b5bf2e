/** S-53: whatever the log, metric or trace backend does, queries are answered and a recovery goes on. */
import type { Meter, MeterProvider, Tracer, TracerProvider } from '@opentelemetry/api';
import { PeriodicExportingMetricReader, MeterProvider as SdkMeterProvider } from '@opentelemetry/sdk-metrics';
import {
  BatchSpanProcessor,
  TracerProvider as SdkTracerProvider,
  SimpleSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { budgetsFrom } from '../../../machines/index.ts';
import type { Logger, TelemetryOptions } from '../../../src/index.ts';
import { schedulerTelemetry } from '../../../src/telemetry/connector-telemetry.ts';
import { EventTimes } from '../../../src/telemetry/event-times.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import {
  connected,
  endpointOf,
  inServiceAfter,
  kill,
  provesItself,
  startEngine,
  successorOf,
} from '../../support/story.ts';

const broken = (): never => {
  throw new Error('the backend is broken');
};

/** An object each of whose members throws when it is called. */
const throwing = <T extends object>() => new Proxy({}, { get: () => broken }) as T;

const rejects = () => Promise.reject(new Error('the transport is closed'));
const rejecting: Logger = { debug: rejects, info: rejects, warn: rejects, error: rejects };

const exporterThat = (exports: SpanExporter['export']): SpanExporter => ({
  export: exports,
  shutdown: async () => {},
  forceFlush: async () => {},
});

const metricsThat = (exports: () => void) =>
  new SdkMeterProvider({
    readers: [
      new PeriodicExportingMetricReader({
        exporter: { export: exports, shutdown: async () => {}, forceFlush: async () => {} },
        exportIntervalMillis: 5,
        exportTimeoutMillis: 5,
      }),
    ],
  });

const tracesThat = (exports: SpanExporter['export']) =>
  new SdkTracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: exporterThat(exports) })] });

/** Each makes what it needs anew: an SDK that was shut down tells nothing. */
const backends: Readonly<Record<string, () => TelemetryOptions>> = {
  'providers that throw': () => ({
    meterProvider: throwing<MeterProvider>(),
    tracerProvider: throwing<TracerProvider>(),
  }),
  'instruments and tracers that throw': () => ({
    meterProvider: { getMeter: () => throwingMeter() },
    tracerProvider: { getTracer: () => throwing<Tracer>() },
  }),
  'a span that throws at every call': () => ({
    tracerProvider: { getTracer: () => ({ startSpan: () => throwing(), startActiveSpan: broken }) as Tracer },
  }),
  'a logger that throws': () => ({ logger: throwing<Logger>() }),
  'a logger whose promises reject': () => ({ logger: rejecting }),
  'exporters that throw': () => ({ tracerProvider: tracesThat(broken), meterProvider: metricsThat(broken) }),
  'exporters that never answer': () => ({
    tracerProvider: new SdkTracerProvider({
      spanProcessors: [
        new BatchSpanProcessor({ exporter: exporterThat(() => {}), maxQueueSize: 4, maxExportBatchSize: 4 }),
      ],
    }),
    meterProvider: metricsThat(() => {}),
  }),
};

const throwingMeter = () => {
  const instrument = () => throwing();
  const names = ['createCounter', 'createUpDownCounter', 'createGauge', 'createHistogram'];
  return Object.fromEntries(names.map((name) => [name, instrument])) as unknown as Meter;
};

describe('a broken telemetry backend', { timeout: 60_000 }, () => {
  it.each(Object.entries(backends))('S-53: with %s the connector recovers and serves', async (_, options) => {
    const engine = await startEngine();
    const log = new LogRecorder();
    const instance = await connected(endpointOf(engine), { telemetry: { logger: log, ...options() } });
    await provesItself(instance);
    await kill(engine);
    await instance.reached('degraded', 'reconnecting');
    await successorOf(engine);
    await inServiceAfter(instance, 1);
    await provesItself(instance);
    // Each half tells once that it goes on without, however often the backend throws.
    const complaints = log.lines.filter(({ message }) => message.startsWith('telemetry failed'));
    expect(complaints.length).toBeLessThanOrEqual(3);
  });

  it('S-53: a backend that throws is complained about, once for each half', async () => {
    const log = new LogRecorder();
    const engine = await startEngine();
    const { 'instruments and tracers that throw': options } = backends;
    await connected(endpointOf(engine), { telemetry: { logger: log, ...options!() } });
    const complaints = log.lines.filter(({ message }) => message.startsWith('telemetry failed'));
    expect(complaints.map(({ level, fields }) => [level, fields['error']])).toEqual(
      Array(3).fill(['error', 'Error: the backend is broken']),
    );
  });

  it('S-53: a logger that breaks before repeats are told, from a timer, ends nothing', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const log = new LogRecorder();
    const budgets = budgetsFrom();
    const { observer } = schedulerTelemetry({
      endpoint: 'http://127.0.0.1:1',
      instanceId: 'i',
      budgets,
      times: new EventTimes(),
      logger: log,
    });
    for (let stall = 0; stall < 3; stall += 1) observer.stalled(500);
    expect(log.lines).toHaveLength(1);
    const written = vi.spyOn(log, 'warn').mockImplementation(broken);
    vi.advanceTimersByTime(budgets.logRepeatWindowMs);
    expect(written).toHaveBeenCalledOnce();
    expect(log.lines.map(({ message }) => message)).toHaveLength(2);
  });
});
