import type { ConnectorState, ConnectorStatus } from '../status.ts';

/** The status of the shard which is worst off, with those of all, by shard. */
export interface ShardedStatus extends ConnectorStatus {
  readonly shards: readonly ConnectorStatus[];
}

/** How far a state is from service; of two in the same state the lower shard is told. */
const DISTANCE_FROM_SERVICE: Record<ConnectorState, number> = {
  connected: 0,
  reRegistering: 1,
  degraded: 2,
  reconnecting: 3,
  incompatible: 4,
  drained: 5,
  stopping: 6,
  stopped: 7,
};

export function shardedStatus(shards: readonly ConnectorStatus[]): ShardedStatus {
  const worst = shards.reduce((worst, status) =>
    DISTANCE_FROM_SERVICE[status.state] > DISTANCE_FROM_SERVICE[worst.state] ? status : worst,
  );
  const openBreakers = shards.flatMap((status) => status.openBreakers);
  const missedRanks = shards.flatMap((status) => status.missedRanks);
  const proofs = shards.flatMap((status) => status.proofs);
  const heldLimit = shards.map((status) => status.heldLimit).find((limit) => limit !== null) ?? null;
  return { ...worst, openBreakers, missedRanks, proofs, heldLimit, shards };
}
