import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { traceparentPropagator } from '../../src/telemetry/traces/traceparent.ts';

type Attributes = Readonly<Record<string, unknown>>;

export interface RecordedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  /** Nanoseconds since 1970. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  readonly events: readonly { readonly name: string; readonly attributes: Attributes; readonly atNs: bigint }[];
  readonly isError: boolean;
}

export interface RecordedPoint {
  readonly name: string;
  readonly unit: string;
  readonly attributes: Attributes;
  /** The count, of a histogram. */
  readonly value: number;
  /** Of a histogram; otherwise as `value`. */
  readonly sum: number;
}

export interface Recorded {
  readonly spans: readonly RecordedSpan[];
  readonly points: readonly RecordedPoint[];
}

/** The SDK with exporters that keep everything in memory. */
export class TelemetryRecorder {
  readonly tracerProvider: TracerProvider;
  readonly meterProvider: MeterProvider;
  #spans = new InMemorySpanExporter();
  #points = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  #reader = new PeriodicExportingMetricReader({ exporter: this.#points, exportIntervalMillis: 2 ** 31 - 1 });

  constructor() {
    this.tracerProvider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: this.#spans })] });
    this.meterProvider = new MeterProvider({ readers: [this.#reader] });
  }

  /** As an application does at its start. */
  static registerGlobally(): TelemetryRecorder {
    const recorder = new TelemetryRecorder();
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(traceparentPropagator);
    trace.setGlobalTracerProvider(recorder.tracerProvider);
    metrics.setGlobalMeterProvider(recorder.meterProvider);
    return recorder;
  }

  /** What has ended, and what was measured up to now. */
  async collect(): Promise<Recorded> {
    this.#points.reset();
    await this.#reader.forceFlush();
    const measured = this.#points.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
    const points = measured
      .flatMap(({ metrics: rows }) => rows)
      .flatMap(({ descriptor: { name, unit }, dataPoints }) =>
        dataPoints.map(({ attributes, value }): RecordedPoint => {
          const isNumber = typeof value === 'number';
          const histogram = value as Histogram;
          const sum = isNumber ? value : (histogram.sum ?? 0);
          return { name, unit, attributes, value: isNumber ? value : histogram.count, sum };
        }),
      );
    return { spans: this.#spans.getFinishedSpans().map(recorded), points };
  }
}

function recorded(span: ReadableSpan): RecordedSpan {
  const { traceId, spanId } = span.spanContext();
  return {
    name: span.name,
    traceId,
    spanId,
    parentId: span.parentSpanContext?.spanId ?? null,
    startNs: nsOf(span.startTime),
    endNs: nsOf(span.endTime),
    attributes: { ...span.attributes },
    events: span.events.map(({ name, attributes, time }) => ({
      name,
      attributes: { ...attributes },
      atNs: nsOf(time),
    })),
    isError: span.status.code === 2,
  };
}

const nsOf = ([seconds, ns]: readonly [number, number]) => BigInt(seconds) * 1_000_000_000n + BigInt(ns);
