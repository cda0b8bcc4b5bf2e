import type { AttributeName } from './attribute-table.ts';

export interface MetricRow {
  readonly kind: 'counter' | 'upDownCounter' | 'gauge' | 'histogram';
  /** UCUM, as OpenTelemetry wants it. */
  readonly unit: string;
  readonly description: string;
  readonly attributes: readonly AttributeName[];
  /** Upper bounds of the buckets, in `unit`. Only of histograms. */
  readonly buckets?: readonly number[];
}

/** From the noticing of a killed server, under 1 ms, to a server that stays away for an hour. */
const OUTAGE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];
/** From one round trip on this host to the longest budget of a call. */
const CALL_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const INSTANCE = ['pegaflow.instance.id', 'server.address', 'server.port'] as const;
const RANK = [...INSTANCE, 'pegaflow.rank'] as const;
const MACHINE = [...RANK, 'pegaflow.role'] as const;

/**
 * Every metric of a connector. Metrics of both roles carry `pegaflow.role`; `pegaflow.rank` is on those of workers only.
 * `rpc.client.call.duration` is that of the RPC conventions as of semantic conventions 1.45.
 */
export const metricTable = {
  'pegaflow.connector.state': {
    kind: 'upDownCounter',
    unit: '1',
    description:
      '1 for the state that the machine is in, 0 for those that it left; a machine that is stopped is in none',
    attributes: [...MACHINE, 'pegaflow.state'],
  },
  'pegaflow.connector.transitions': {
    kind: 'counter',
    unit: '{transition}',
    description: 'Changes of state',
    attributes: [...MACHINE, 'pegaflow.state.from', 'pegaflow.state.to', 'pegaflow.event'],
  },
  'pegaflow.connector.state.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Time in a state, told when it is left',
    attributes: [...MACHINE, 'pegaflow.state'],
    buckets: OUTAGE_SECONDS,
  },
  'pegaflow.connector.epoch': {
    kind: 'gauge',
    unit: '{epoch}',
    description: 'Counter of the announced epoch; it starts again with each scheduler process',
    attributes: MACHINE,
  },
  'pegaflow.connector.outage.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'From the first evidence to `connected`, or to the stop; the first connection counts from the start',
    attributes: [...INSTANCE, 'pegaflow.outage.cause', 'pegaflow.server.end', 'pegaflow.outage.outcome'],
    buckets: OUTAGE_SECONDS,
  },
  'pegaflow.connector.recovery.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'From the dial that was answered to `connected`: what the recovery itself took',
    attributes: [...INSTANCE, 'pegaflow.outage.cause'],
    buckets: OUTAGE_SECONDS,
  },
  'pegaflow.connector.evidence': {
    kind: 'counter',
    unit: '{observation}',
    description: 'Observations that something was lost or went wrong; refused dials are counted as dials',
    attributes: [...INSTANCE, 'pegaflow.evidence', 'pegaflow.fault.kind'],
  },
  'pegaflow.connector.dials': {
    kind: 'counter',
    unit: '{dial}',
    description: 'Attempts to reach the server',
    attributes: [...MACHINE, 'pegaflow.dial.outcome'],
  },
  'pegaflow.connector.generations': {
    kind: 'counter',
    unit: '{generation}',
    description: 'Registration generations that ended',
    attributes: [...INSTANCE, 'pegaflow.generation.action', 'pegaflow.generation.outcome'],
  },
  'pegaflow.connector.registration.duration': {
    kind: 'histogram',
    unit: 's',
    description:
      'From the announcement of an epoch to what one rank has to say of it; its count is that of registrations',
    attributes: [...RANK, 'pegaflow.registration.outcome'],
    buckets: CALL_SECONDS,
  },
  'pegaflow.connector.registrations.lost': {
    kind: 'counter',
    unit: '{registration}',
    description: 'Registrations that were confirmed once, then refuted by what the server answered',
    attributes: RANK,
  },
  'pegaflow.connector.audits': {
    kind: 'counter',
    unit: '{audit}',
    description: 'Audits of the registration while connected',
    attributes: [...INSTANCE, 'pegaflow.audit.outcome'],
  },
  'pegaflow.connector.queries': {
    kind: 'counter',
    unit: '{query}',
    description: 'Queries by what they found; `pegaflow.state` says why there was no server in service',
    attributes: [...INSTANCE, 'pegaflow.query.outcome', 'pegaflow.miss.reason', 'pegaflow.state'],
  },
  'pegaflow.connector.stale_results': {
    kind: 'counter',
    unit: '{result}',
    description: 'Answers that arrived for an epoch or a request that was over; they are dropped',
    attributes: MACHINE,
  },
  'pegaflow.connector.stale_leases': {
    kind: 'counter',
    unit: '{load}',
    description: 'Loads refused without an RPC because their lease is of another epoch',
    attributes: RANK,
  },
  'pegaflow.connector.transfer.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Loads and saves from their submission to their end; refused ones count as 0 s',
    attributes: [...RANK, 'pegaflow.transfer.kind', 'pegaflow.transfer.outcome'],
    buckets: CALL_SECONDS,
  },
  'pegaflow.connector.quarantine.blocks': {
    kind: 'upDownCounter',
    unit: '{block}',
    description: 'Blocks that the server may still touch although its link or its answer is gone',
    attributes: [...RANK, 'pegaflow.transfer.kind'],
  },
  'pegaflow.connector.quarantine.ended': {
    kind: 'counter',
    unit: '{transfer}',
    description: 'Transfers that left the quarantine, by what ended it',
    attributes: [...RANK, 'pegaflow.transfer.kind', 'pegaflow.quarantine.end'],
  },
  'pegaflow.connector.unsafe_releases': {
    kind: 'counter',
    unit: '{transfer}',
    description: 'Transfers whose blocks were handed back without proof that the server is done with them',
    attributes: [...RANK, 'pegaflow.transfer.kind'],
  },
  'pegaflow.connector.breakers.open': {
    kind: 'upDownCounter',
    unit: '{breaker}',
    description: '1 while the server refuses this work and it is turned off but for a try now and then',
    attributes: [...INSTANCE, 'pegaflow.breaker'],
  },
  'pegaflow.connector.ranks.missed': {
    kind: 'upDownCounter',
    unit: '{rank}',
    description: 'Ranks that do not serve, or are not heard, and without which nothing is promised and nothing saved',
    attributes: INSTANCE,
  },
  'pegaflow.connector.fencings': {
    kind: 'counter',
    unit: '{fencing}',
    description: 'Times that this rank had the server ended because it might still touch blocks',
    attributes: [...RANK, 'pegaflow.fencing.by', 'pegaflow.fencing.reason'],
  },
  'pegaflow.connector.proof': {
    kind: 'upDownCounter',
    unit: '1',
    description: '1 for what would prove the death of the server that holds the memory, 0 for what would have before',
    attributes: [...RANK, 'pegaflow.proof'],
  },
  'pegaflow.connector.held_limit': {
    kind: 'upDownCounter',
    unit: '1',
    description:
      '1 while a rank holds as many blocks as `maxHeldBlocksShare` allows: nothing is saved and queries miss',
    attributes: INSTANCE,
  },
  'pegaflow.connector.preemptions.held_up': {
    kind: 'counter',
    unit: '{preemption}',
    description:
      'Preemptions that waited longer than `preemptionToldAfterMs` for proof that the server is done with the blocks',
    attributes: RANK,
  },
  'pegaflow.connector.blocks.withdrawn': {
    kind: 'counter',
    unit: '{block}',
    description: 'Blocks that are no hit for a while because a load of them failed twice',
    attributes: INSTANCE,
  },
  'pegaflow.connector.event_loop.stall.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'How much too late a ping left because the event loop was blocked; less than 0.1 s is not told',
    attributes: MACHINE,
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  'rpc.client.call.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Unary calls to the server; the Session stream is not counted',
    attributes: [
      'rpc.system.name',
      'rpc.method',
      'rpc.status_code',
      'error.type',
      'server.address',
      'server.port',
      'pegaflow.rpc.purpose',
    ],
    buckets: CALL_SECONDS,
  },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof metricTable;
