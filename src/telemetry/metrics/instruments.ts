import type { Attributes, Counter, Gauge, Histogram, Meter, MeterProvider, UpDownCounter } from '@opentelemetry/api';
import { packageVersion } from '../../package-version.ts';
import { type MetricName, type MetricRow, metricTable } from './metric-table.ts';

/** Name of our meter and of our tracer. */
export const SCOPE = 'pegaflow-lifecycle';

interface InstrumentOf {
  readonly counter: Counter;
  readonly upDownCounter: UpDownCounter;
  readonly gauge: Gauge;
  readonly histogram: Histogram;
}

/** The instruments of {@link metricTable} by their names. */
export type Instruments = { readonly [name in MetricName]: InstrumentOf[(typeof metricTable)[name]['kind']] };

const made = new WeakMap<MeterProvider, Instruments>();

/**
 * The instruments at this provider, made when the first connector asks: made before an application has set its provider,
 * they would stay dead for ever.
 */
export function instrumentsOf(provider: MeterProvider): Instruments {
  const held = made.get(provider);
  if (held) return held;
  const meter = provider.getMeter(SCOPE, packageVersion());
  const rows = Object.entries(metricTable).map(([name, row]) => [name, instrument(meter, name, row)]);
  const instruments = Object.fromEntries(rows) as Instruments;
  made.set(provider, instruments);
  return instruments;
}

function instrument(meter: Meter, name: string, { kind, unit, description, buckets }: MetricRow) {
  const options = { unit, description };
  switch (kind) {
    case 'counter':
      return meter.createCounter(name, options);
    case 'upDownCounter':
      return meter.createUpDownCounter(name, options);
    case 'gauge':
      return meter.createGauge(name, options);
    case 'histogram':
      return meter.createHistogram<Attributes>(name, {
        ...options,
        advice: { explicitBucketBoundaries: [...(buckets ?? [])] },
      });
  }
}
