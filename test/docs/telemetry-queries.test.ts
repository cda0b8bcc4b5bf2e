/** The dashboard and the alert rules of docs/: their queries against the metric table, the rules by promtool. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { prometheusLabels, prometheusNames } from '../../scripts/telemetry/prometheus-names.ts';
import { dashboardQueries, lackOf } from '../support/prometheus.ts';

const rules = resolve(import.meta.dirname, '../../docs/prometheus');
const alerts = readFileSync(resolve(rules, 'alerts.yml'), 'utf8');
const alertQueries = [...alerts.matchAll(/^ +expr: (.+)$/gm)].map(([, expr]) => expr!);
const lack = lackOf('promtool');

/** What of a query is in no row of the table: series, and labels that its series do not have. */
function strangersIn(expr: string): string[] {
  const series = [...expr.matchAll(/\b(?:pegaflow_connector|rpc_client)_\w+/g)].map(([name]) => name);
  const labelSets = series.map((name) => prometheusLabels(name));
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names]) => names!.split(','));
  const matched = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, matchers]) =>
    [...matchers!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!),
  );
  const labels = [...grouped, ...matched].map((label) => label.trim()).filter((label) => label !== '');
  return [
    ...series.filter((_, index) => labelSets[index] === null),
    ...labels.filter((label) => !labelSets.every((set) => set?.has(label))),
    ...(series.length === 0 ? [`no series of ours in ${expr}`] : []),
  ];
}

describe('the queries of docs/', () => {
  it.each([...dashboardQueries(), ...alertQueries])('%s names series and labels of the metric table', (expr) => {
    expect(strangersIn(expr)).toEqual([]);
  });

  it('show on the dashboard every metric that is not drawn by another one', () => {
    const shown = dashboardQueries().join(' ');
    const metrics = new Set([...prometheusNames()].map((name) => name.replace(/_(total|bucket|sum|count)$/, '')));
    expect([...metrics].filter((metric) => !shown.includes(metric))).toEqual([
      'pegaflow_connector_transitions',
      'pegaflow_connector_state_duration',
      'pegaflow_connector_epoch',
    ]);
  });

  it('are found out where a series or a label is not in the table', () => {
    expect(strangersIn('sum by (pegaflow_state) (pegaflow_connector_states)')).toEqual([
      'pegaflow_connector_states',
      'pegaflow_state',
    ]);
    expect(strangersIn('pegaflow_connector_queries_total{pegaflow_rank="0"}')).toEqual(['pegaflow_rank']);
  });

  it.skipIf(lack)(`alert as their tests say, and each of them has one${lack ? ` (${lack})` : ''}`, () => {
    const said = execFileSync('promtool', ['test', 'rules', 'alerts.test.yml'], { cwd: rules, encoding: 'utf8' });
    expect(said).toContain('SUCCESS');
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
    const tested = readFileSync(resolve(rules, 'alerts.test.yml'), 'utf8');
    expect(names.filter((name) => !new RegExp(`alertname: ${name}\\n +exp_alerts`).test(tested))).toEqual([]);
  });
});
