import { budgetTable } from '../../machines/index.ts';
import { type LogRow, logTable } from '../../src/telemetry/logs/log-table.ts';
import { type AttributeRow, attributeTable } from '../../src/telemetry/metrics/attribute-table.ts';
import { SCOPE } from '../../src/telemetry/metrics/instruments.ts';
import { type MetricRow, metricTable } from '../../src/telemetry/metrics/metric-table.ts';
import { spanRows, transitionAttributes } from './span-rows.ts';

/** docs/telemetry.md: what a connector tells, and how to have it told. */
export function telemetryPage(): string {
  const metrics: [string, MetricRow][] = Object.entries(metricTable);
  const logs: LogRow[] = Object.values(logTable);
  const attributes: [string, AttributeRow][] = Object.entries(attributeTable);
  return [
    '# Telemetry',
    '',
    'Written by `npm run docs` from the tables that the code uses. The library imports `@opentelemetry/api` alone: register an',
    `SDK before the connectors are constructed, or give them \`meterProvider\` and \`tracerProvider\`. Meter and tracer are called`,
    `\`${SCOPE}\`. What a backend does, throw or hang, does not reach the connector. Block hashes, leases and handles are told`,
    'nowhere, or by eight characters where the server’s own words have them.',
    '',
    '`pegaflow-lifecycle demo --otlp http://127.0.0.1:4318` sends traces and metrics of all its processes to a collector,',
    '`--metrics-port 9464` serves the metrics to Prometheus until the run ends: those of the scheduler at this port, of each rank and of the engine at',
    'the ports that follow. A dashboard is in [grafana/](grafana/pegaflow-lifecycle.json), alert rules with their tests in',
    '[prometheus/](prometheus/alerts.yml); both name the series of OpenTelemetry’s Prometheus exporter for JavaScript.',
    '',
    '## Traces',
    '',
    'One trace for each outage, over all processes: calls carry it in their metadata, announcements to the ranks in',
    '`traceparent`. A state that lasts is told while it lasts; the root comes at the end.',
    '',
    ...table(
      ['span', 'parent', 'what', 'attributes', 'events'],
      Object.entries(spanRows).map(([name, { parent, what, attributes: keys, event }]) => [
        code(name),
        parent,
        what,
        keys.map(code).join('<br>'),
        event === undefined ? '' : code(event),
      ]),
    ),
    '',
    `An event \`pegaflow.transition\` has ${transitionAttributes.map(code).join(', ')}; a span has at most 64 of them and says in`,
    '`pegaflow.transitions.omitted` how many more there were.',
    '',
    '## Metrics',
    '',
    ...table(
      ['metric', 'kind', 'unit', 'what', 'attributes'],
      metrics.map(([name, { kind, unit, description, attributes: keys }]) => [
        code(name),
        kind,
        code(unit),
        description,
        keys.map(code).join('<br>'),
      ]),
    ),
    '',
    '`pegaflow.rank` is on the metrics of workers only. The queries of a connector with several servers name no server.',
    '',
    '## Attributes of metrics',
    '',
    ...table(
      ['attribute', 'what', 'values'],
      attributes.map(([name, { description, values }]) => [
        code(name),
        description,
        typeof values === 'string' ? values : values.map(code).join(', '),
      ]),
    ),
    '',
    '## Log lines',
    '',
    'Written to the option `logger`, which takes a pino logger or `console`. Every line has `instance` and `epoch`, that of a',
    'rank `rank`, and one of an outage `traceId`. Above `debug` the first of a kind is written at once; what is repeated within',
    `\`logRepeatWindowMs\` (${budgetTable.logRepeatWindowMs.default.toLocaleString('en')} ms) is counted and told in one line.`,
    '',
    ...table(
      ['level', 'message', 'further fields'],
      logs.map(({ level, message, fields }) => [level, message, fields.map(code).join(', ')]),
    ),
    '',
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

function code(text: string): string {
  return `\`${text}\``;
}
