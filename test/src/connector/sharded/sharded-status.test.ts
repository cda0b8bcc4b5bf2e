import { expect, it } from 'vitest';
import type { ConnectorState } from '../../../../src/connector/index.ts';
import { shardedStatus } from '../../../../src/connector/sharded/sharded-status.ts';

const shards = (...states: ConnectorState[]) =>
  states.map((state, shard) => ({
    state,
    path: `${state}.${shard}`,
    epoch: null,
    sinceMs: shard,
    fault: null,
    openBreakers: [],
    missedRanks: [],
    fencing: null,
    heldLimit: null,
    outage: null,
    proofs: [],
    heldUpPreemptions: 0,
  }));

it.each<[ConnectorState[], number]>([
  [['connected', 'connected'], 0],
  [['connected', 'reRegistering', 'connected'], 1],
  [['reconnecting', 'reRegistering', 'degraded'], 0],
  [['connected', 'reconnecting', 'reconnecting'], 1],
  [['reconnecting', 'incompatible'], 1],
  [['stopped', 'stopping'], 0],
])('the status of shards that are %j is that of shard %i', (states, worst) => {
  const all = shards(...states);
  expect(shardedStatus(all)).toEqual({ ...all[worst], shards: all });
});
