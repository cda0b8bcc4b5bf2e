/** docs/grafana: what an operator wants to see of all instances at a glance, and of one in detail. */

interface Panel {
  readonly title: string;
  readonly description: string;
  readonly type: 'stat' | 'timeseries' | 'state-timeline';
  readonly unit: 's' | 'short' | 'percentunit' | 'ops';
  /** Legend and PromQL. `$instance` is the variable of the dashboard. */
  readonly queries: readonly (readonly [string, string])[];
}

const OF = 'pegaflow_instance_id=~"$instance"';
const SCHEDULER = `${OF},pegaflow_role="scheduler"`;
const WORKER = `${OF},pegaflow_role="worker"`;
const RATE = '[$__rate_interval]';

const perSecond = (series: string, labels: string, by: string) => `sum by (${by}) (rate(${series}{${labels}}${RATE}))`;
const quantile = (q: number, metric: string, labels: string, by: string) =>
  `histogram_quantile(${q}, sum by (${by}le) (rate(${metric}_bucket{${labels}}${RATE})))`;

export const panels: readonly Panel[] = [
  {
    title: 'Instances without cache',
    description: 'Schedulers that are in no other than a passing state: every query of theirs is a miss.',
    type: 'stat',
    unit: 'short',
    queries: [['instances', `sum(pegaflow_connector_state{${SCHEDULER},pegaflow_state!~"connected|stopped"})`]],
  },
  {
    title: 'Ranks not in service',
    description: 'Ranks that load and save nothing.',
    type: 'stat',
    unit: 'short',
    queries: [['ranks', `sum(pegaflow_connector_state{${WORKER},pegaflow_state!~"connected|stopped"})`]],
  },
  {
    title: 'Blocks in quarantine',
    description: 'Blocks that a server may still touch although its link or its answer is gone.',
    type: 'stat',
    unit: 'short',
    queries: [['blocks', `sum(pegaflow_connector_quarantine_blocks{${OF}})`]],
  },
  {
    title: 'Ranks without proof',
    description: 'Ranks to which nothing would prove that the server is dead: what is held then stays held.',
    type: 'stat',
    unit: 'short',
    queries: [['ranks', `sum(pegaflow_connector_proof{${OF}, pegaflow_proof!~"process|sockets"}) or vector(0)`]],
  },
  {
    title: 'Unsafe releases',
    description:
      'Transfers whose blocks were handed back without proof that the server is done with them. Each is worth a look.',
    type: 'stat',
    unit: 'short',
    queries: [['since the start', `sum(pegaflow_connector_unsafe_releases_total{${OF}})`]],
  },
  {
    title: 'Work turned off',
    description: 'What the server refused again and again, and is tried now and then only.',
    type: 'timeseries',
    unit: 'short',
    queries: [
      ['{{pegaflow_breaker}}', `sum by (pegaflow_breaker) (pegaflow_connector_breakers_open{${OF}})`],
      ['blocks withdrawn', `sum(increase(pegaflow_connector_blocks_withdrawn_total{${OF}}${RATE}))`],
    ],
  },
  {
    title: 'Ranks missed, memory held, preemptions held up, servers fenced',
    description:
      'Ranks whose silence ended the service; 1 while too much is held for it; preemptions that waited long for proof; servers that were killed for it.',
    type: 'timeseries',
    unit: 'short',
    queries: [
      ['at the limit of what is held', `max(pegaflow_connector_held_limit{${OF}})`],
      ['ranks missed', `sum(pegaflow_connector_ranks_missed{${OF}})`],
      ['preemptions held up', `sum(increase(pegaflow_connector_preemptions_held_up_total{${OF}}${RATE}))`],
      ['servers fenced', `sum(increase(pegaflow_connector_fencings_total{${OF}}${RATE}))`],
    ],
  },
  {
    title: 'State of each scheduler',
    description: 'Which state each instance is in, and since when.',
    type: 'state-timeline',
    unit: 'short',
    queries: [
      [
        '{{pegaflow_instance_id}} {{pegaflow_state}}',
        `max by (pegaflow_instance_id, pegaflow_state) (pegaflow_connector_state{${SCHEDULER}}) == 1`,
      ],
    ],
  },
  {
    title: 'Outages',
    description: 'Outages that ended, by how the server went.',
    type: 'timeseries',
    unit: 'short',
    queries: [
      [
        '{{pegaflow_server_end}} ({{pegaflow_outage_cause}})',
        `sum by (pegaflow_server_end, pegaflow_outage_cause) (increase(pegaflow_connector_outage_duration_count{${OF},pegaflow_outage_cause!="start"}${RATE}))`,
      ],
    ],
  },
  {
    title: 'Outage and recovery, longest',
    description: 'The outage begins with the first evidence, the recovery when the server is reached again.',
    type: 'timeseries',
    unit: 's',
    queries: [
      ['outage p99', quantile(0.99, 'pegaflow_connector_outage_duration', `${OF},pegaflow_outage_cause!="start"`, '')],
      ['recovery p99', quantile(0.99, 'pegaflow_connector_recovery_duration', OF, '')],
      ['recovery p50', quantile(0.5, 'pegaflow_connector_recovery_duration', OF, '')],
    ],
  },
  {
    title: 'Queries',
    description: 'By what they found. A miss for want of a server is notConnected; a cold cache says notCached.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      [
        '{{pegaflow_query_outcome}} {{pegaflow_miss_reason}}',
        perSecond('pegaflow_connector_queries_total', OF, 'pegaflow_query_outcome, pegaflow_miss_reason'),
      ],
    ],
  },
  {
    title: 'Hit ratio',
    description: 'Of all queries, and of those that a server was asked.',
    type: 'timeseries',
    unit: 'percentunit',
    queries: [
      [
        'of all',
        `sum(rate(pegaflow_connector_queries_total{${OF},pegaflow_query_outcome="hit"}${RATE})) / sum(rate(pegaflow_connector_queries_total{${OF}}${RATE}))`,
      ],
      [
        'of those asked',
        `sum(rate(pegaflow_connector_queries_total{${OF},pegaflow_query_outcome="hit"}${RATE})) / sum(rate(pegaflow_connector_queries_total{${OF},pegaflow_miss_reason!="notConnected"}${RATE}))`,
      ],
    ],
  },
  {
    title: 'Evidence',
    description: 'What spoke against link or registration.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      [
        '{{pegaflow_evidence}}: {{pegaflow_fault_kind}}',
        perSecond('pegaflow_connector_evidence_total', OF, 'pegaflow_evidence, pegaflow_fault_kind'),
      ],
    ],
  },
  {
    title: 'Generations and registrations',
    description: 'Registrations of all ranks, and of each.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      [
        '{{pegaflow_generation_action}} {{pegaflow_generation_outcome}}',
        perSecond(
          'pegaflow_connector_generations_total',
          OF,
          'pegaflow_generation_action, pegaflow_generation_outcome',
        ),
      ],
      [
        'rank: {{pegaflow_registration_outcome}}',
        perSecond('pegaflow_connector_registration_duration_count', OF, 'pegaflow_registration_outcome'),
      ],
      ['rank: lost', `sum(rate(pegaflow_connector_registrations_lost_total{${OF}}${RATE}))`],
    ],
  },
  {
    title: 'Registration of a rank, p99',
    description: 'From the announcement to the answer.',
    type: 'timeseries',
    unit: 's',
    queries: [['p99', quantile(0.99, 'pegaflow_connector_registration_duration', OF, '')]],
  },
  {
    title: 'Loads and saves',
    description: 'By how they ended; refused ones made no RPC.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      [
        '{{pegaflow_transfer_kind}} {{pegaflow_transfer_outcome}}',
        perSecond(
          'pegaflow_connector_transfer_duration_count',
          OF,
          'pegaflow_transfer_kind, pegaflow_transfer_outcome',
        ),
      ],
    ],
  },
  {
    title: 'Loads and saves, p99',
    description: 'From their submission to their end.',
    type: 'timeseries',
    unit: 's',
    queries: [
      [
        '{{pegaflow_transfer_kind}}',
        quantile(
          0.99,
          'pegaflow_connector_transfer_duration',
          `${OF},pegaflow_transfer_outcome!="refused"`,
          'pegaflow_transfer_kind, ',
        ),
      ],
    ],
  },
  {
    title: 'What ended a quarantine',
    description: 'A record, an answer, proof of death; or the budget, which is an unsafe release.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      [
        '{{pegaflow_quarantine_end}}',
        perSecond('pegaflow_connector_quarantine_ended_total', OF, 'pegaflow_quarantine_end'),
      ],
    ],
  },
  {
    title: 'Fenced and refused',
    description: 'Answers of epochs that are over, and loads with a lease of another epoch.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      ['stale results ({{pegaflow_role}})', perSecond('pegaflow_connector_stale_results_total', OF, 'pegaflow_role')],
      ['stale leases', `sum(rate(pegaflow_connector_stale_leases_total{${OF}}${RATE}))`],
    ],
  },
  {
    title: 'Dials and audits',
    description: 'Attempts to reach the server, and what looking for the registration found.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      ['dial {{pegaflow_dial_outcome}}', perSecond('pegaflow_connector_dials_total', OF, 'pegaflow_dial_outcome')],
      ['audit {{pegaflow_audit_outcome}}', perSecond('pegaflow_connector_audits_total', OF, 'pegaflow_audit_outcome')],
    ],
  },
  {
    title: 'Calls, p99',
    description: 'Unary calls to the server by method.',
    type: 'timeseries',
    unit: 's',
    queries: [
      ['{{rpc_method}}', quantile(0.99, 'rpc_client_call_duration', 'rpc_method=~"pegaflow.*"', 'rpc_method, ')],
    ],
  },
  {
    title: 'Refused and failed calls',
    description: 'Without the probes, whose refusal is the answer.',
    type: 'timeseries',
    unit: 'ops',
    queries: [
      [
        '{{rpc_method}} {{rpc_status_code}}',
        perSecond(
          'rpc_client_call_duration_count',
          'rpc_method=~"pegaflow.*",pegaflow_rpc_purpose="call",rpc_status_code!="OK"',
          'rpc_method, rpc_status_code',
        ),
      ],
    ],
  },
  {
    title: 'Stalls of the process',
    description: 'Pings that left more than 0.1 s too late: the event loop was blocked.',
    type: 'timeseries',
    unit: 's',
    queries: [
      [
        '{{pegaflow_role}}',
        `sum by (pegaflow_role) (increase(pegaflow_connector_event_loop_stall_duration_sum{${OF}}${RATE}))`,
      ],
    ],
  },
];

const COLUMNS = 24;
const SIZES = { stat: [6, 4], 'state-timeline': [24, 8], timeseries: [12, 8] } as const;

/** The dashboard as Grafana imports it. */
export function dashboardJson(): string {
  let [x, y, rowHeight] = [0, 0, 0];
  const placed = panels.map(({ title, description, type, unit, queries }, index) => {
    const [w, h] = SIZES[type];
    if (x + w > COLUMNS) [x, y, rowHeight] = [0, y + rowHeight, 0];
    const gridPos = { x, y, w, h };
    [x, rowHeight] = [x + w, Math.max(rowHeight, h)];
    return {
      id: index + 1,
      title,
      description,
      type,
      datasource: { type: 'prometheus', uid: '$' + '{datasource}' },
      gridPos,
      fieldConfig: { defaults: { unit }, overrides: [] },
      targets: queries.map(([legendFormat, expr], target) => ({
        refId: String.fromCharCode(65 + target),
        expr,
        legendFormat,
        instant: type === 'stat',
      })),
    };
  });
  const dashboard = {
    uid: 'pegaflow-lifecycle',
    title: 'PegaFlow connectors across restarts',
    tags: ['pegaflow'],
    schemaVersion: 39,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' },
        {
          name: 'instance',
          type: 'query',
          label: 'Instance',
          datasource: { type: 'prometheus', uid: '$' + '{datasource}' },
          query: 'label_values(pegaflow_connector_state, pegaflow_instance_id)',
          includeAll: true,
          multi: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
        },
      ],
    },
    panels: placed,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
