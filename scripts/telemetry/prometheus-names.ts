import { type MetricRow, metricTable } from '../../src/telemetry/metrics/metric-table.ts';

/** The series that OpenTelemetry's Prometheus exporter for JavaScript makes of our metrics. */
export function prometheusNames(): Set<string> {
  const rows: [string, MetricRow][] = Object.entries(metricTable);
  return new Set(
    rows.flatMap(([name, { kind }]) => {
      const series = name.replaceAll('.', '_');
      if (kind === 'counter') return [`${series}_total`];
      return kind === 'histogram' ? [`${series}_bucket`, `${series}_sum`, `${series}_count`] : [series];
    }),
  );
}

/** The labels of a series; `null` where it is none of ours. */
export function prometheusLabels(series: string): Set<string> | null {
  const rows: [string, MetricRow][] = Object.entries(metricTable);
  const found = rows.find(([name]) => series.replace(/_(total|bucket|sum|count)$/, '') === name.replaceAll('.', '_'));
  if (found === undefined || !prometheusNames().has(series)) return null;
  return new Set([...found[1].attributes.map((attribute) => attribute.replaceAll('.', '_')), 'le', 'instance', 'job']);
}
