import type { Announcement, RankReport, StopOutcome } from '../../../machines/index.ts';
import { publicEndpoint } from '../../redacted.ts';
import { shardedQueryTelemetry } from '../../telemetry/connector-telemetry.ts';
import { ByGroup } from '../by-group.ts';
import type { ConnectorMetadata, FinishedTransfers } from '../metadata.ts';
import type { MachineInspector } from '../options.ts';
import { countQuery, type MissReason, miss, noQueries, type Query, type QueryOutcome } from '../query.ts';
import type { SchedulerStats } from '../scheduler/cache-queries.ts';
import { type BlockIds, type BlockIdsByGroup, blockIdsByGroup, checkFits, outcomeOf } from '../scheduler/hits.ts';
import { type Save, SchedulerConnector, type SchedulerConnectorOptions } from '../scheduler/scheduler-connector.ts';
import { type Shard, type ShardLayoutOptions, shardLayout, shardOfRank } from './shard-layout.ts';
import { type ShardedStatus, shardedStatus } from './sharded-status.ts';

export interface ShardedSchedulerOptions
  extends ShardLayoutOptions,
    Omit<SchedulerConnectorOptions, 'endpoint' | 'inspect' | keyof ShardLayoutOptions> {
  /** Makes what sees every event, snapshot and microstep of one shard's machine, as XState tells them. */
  readonly inspect?: (shard: number) => MachineInspector;
}

/** Where shards miss for several reasons, the first of these is told. */
const MISS_REASONS: readonly MissReason[] = [
  'notConnected',
  'heldLimit',
  'breakerOpen',
  'failed',
  'superseded',
  'withdrawn',
  'distrusted',
  'notCached',
];

/**
 * The scheduler's half of a connector whose ranks are spread over several servers: one {@link SchedulerConnector} per
 * server, so that only the shard whose server was lost recovers, and the cache is used while all are in service. A load
 * and a save go to every shard or to none, so the ledgers of the shards agree. Workers are plain `WorkerConnector`s with the options that {@link shardOfRank} gives.
 */
export class ShardedSchedulerConnector {
  readonly layout: readonly Shard[];
  readonly instanceId: string;
  #shards: readonly SchedulerConnector[];
  /** The newest query that is under way. */
  #asked = new ByGroup<symbol>();
  #counted = { queries: noQueries(), blocks: { asked: 0, hit: 0 } };
  #queried: ReturnType<typeof shardedQueryTelemetry>;

  /** Throws a RangeError or TypeError for an option that cannot work. */
  constructor(options: ShardedSchedulerOptions) {
    const { endpoints: _, inspect, ...shared } = options;
    this.layout = shardLayout(options);
    this.instanceId = options.instanceId;
    this.#queried = shardedQueryTelemetry(options);
    this.#shards = this.layout.map(
      (shard) =>
        new SchedulerConnector({ ...shared, ...shard, ...(inspect ? { inspect: inspect(shard.shard) } : {}) }, true),
    );
  }

  /** Begins to look for the servers. Returns at once; until all are found every query is a miss. */
  start(): void {
    for (const shard of this.#shards) shard.start();
  }

  /** That of the shard which is worst off, with those of all. */
  get status(): ShardedStatus {
    return shardedStatus(this.#shards.map((shard) => shard.status));
  }

  /** Calls `listener` when the state or epoch of any shard changes. */
  onStatus(listener: (status: ShardedStatus) => void): () => void {
    return unlistenAll(this.#shards.map((shard) => shard.onStatus(() => listener(this.status))));
  }

  /** Counts since the start: queries as they were answered here, the rest summed over the shards. */
  get stats(): SchedulerStats {
    const staleResults = this.#shards.reduce((sum, { stats }) => sum + stats.staleResults, 0);
    const { queries, blocks } = this.#counted;
    return { queries: { ...queries }, blocks: { ...blocks }, staleResults };
  }

  /** Lets `inspector` see what one shard's machine does from now on, beside what the option of this name sees. */
  inspect(shard: number, inspector: MachineInspector): () => void {
    return this.#shard(shard).inspect(inspector);
  }

  /** Tells `listener` the announcement for the ranks of one shard, and every one that follows. */
  onAnnounce(shard: number, listener: (announcement: Announcement) => void): () => void {
    return this.#shard(shard).onAnnounce(listener);
  }

  /** Whether a query would be asked: every server is in service. */
  get isInService(): boolean {
    return this.#shards.every((shard) => shard.isInService);
  }

  /**
   * vLLM: `get_num_new_matched_tokens`. Asks all shards at once; a hit is what all of them hold: of group 0 the common
   * prefix, above it the common positions. Nothing of the group stays held for a request that is told anything else, and
   * nothing is asked unless every server is in service.
   */
  async query(query: Query): Promise<QueryOutcome> {
    const outcome = await this.#query(query);
    countQuery(this.#counted, query, outcome);
    this.#queried(outcome, this.isInService ? 'connected' : this.status.state);
    return outcome;
  }

  async #query(query: Query): Promise<QueryOutcome> {
    const { requestId, groupId = 0 } = query;
    if (!this.isInService) {
      this.release(requestId, groupId);
      return miss('notConnected');
    }
    const asked = Symbol(requestId);
    this.#asked.set(requestId, groupId, asked);
    const outcomes = await Promise.all(this.#shards.map((shard) => shard.query(query)));
    // What the shards hold now is the newer query's to keep or to give up.
    if (this.#asked.get(requestId, groupId) !== asked) return miss('superseded');
    this.#asked.delete(requestId, groupId);
    const outcome = this.#combined(query, outcomes);
    if (outcome.kind !== 'hit') this.release(requestId, groupId);
    return outcome;
  }

  #combined({ requestId, groupId = 0 }: Query, outcomes: readonly QueryOutcome[]): QueryOutcome {
    const reasons = outcomes.map((outcome) => (outcome.kind === 'miss' ? outcome.reason : null));
    const reason = MISS_REASONS.find((candidate) => reasons.includes(candidate));
    if (reason) return miss(reason);
    if (outcomes.some(({ kind }) => kind === 'loading')) return { kind: 'loading' };
    const held = this.#shards.map((shard) => shard.heldPositions(requestId, groupId));
    if (held.some(({ length }) => length === 0)) return miss('superseded');
    const positions = commonTo(held);
    if (positions.length === 0) return miss('notCached');
    return outcomeOf({ blocks: positions.length, positions: groupId === 0 ? null : positions });
  }

  /** As `SchedulerConnector.heldPositions`, of what is good on every shard. */
  heldPositions(requestId: string, groupId = 0): readonly number[] {
    return commonTo(this.#shards.map((shard) => shard.heldPositions(requestId, groupId)));
  }

  /**
   * vLLM: `update_state_after_alloc`. Loads the hits of this request on all shards in the next step, or on none: `false`
   * says that one is gone somewhere, which is a miss of all. `blockIds` is as for one server. What a shard holds beyond
   * what all hold stays where it is, so nothing is asked again.
   */
  scheduleLoad(requestId: string, blockIds: BlockIds | BlockIdsByGroup): boolean {
    const wanted = Object.entries(blockIdsByGroup(blockIds)).map(([group, ids]) => {
      const groupId = Number(group);
      return { groupId, ids, positions: this.heldPositions(requestId, groupId) };
    });
    try {
      for (const { groupId, ids, positions } of wanted) {
        if (positions.length === 0) return false;
        checkFits(requestId, groupId, ids, positions.length);
      }
      const areScheduled = this.#shards.map((shard) => {
        const targets = wanted.map(({ groupId, ids, positions }) => {
          const target = new Map(positions.map((position, index) => [position, ids[index] ?? null]));
          return [groupId, shard.heldPositions(requestId, groupId).map((position) => target.get(position) ?? null)];
        });
        return shard.scheduleLoad(requestId, Object.fromEntries(targets));
      });
      return areScheduled.every((isScheduled) => isScheduled);
    } finally {
      // Whatever was not taken for the load.
      this.release(requestId);
    }
  }

  /**
   * Saves these blocks on all shards in the next step; on none while a server is not in service, for a block that one
   * shard lacks is no hit. Best effort: a save that fails is only a later miss. `false`: nothing is saved, and nothing told.
   */
  scheduleSave(save: Save): boolean {
    if (!this.#shards.every((shard) => shard.takesSaves)) return false;
    for (const shard of this.#shards) shard.scheduleSave(save);
    return true;
  }

  /** Gives up the hits of this request that will not be loaded, in one group or in all. */
  release(requestId: string, groupId?: number): void {
    for (const shard of this.#shards) shard.release(requestId, groupId);
  }

  /** vLLM: `build_connector_meta`. Call it once a step; entry `i` goes to every rank of shard `i`. */
  buildMetadata(): ConnectorMetadata[] {
    return this.#shards.map((shard) => shard.buildMetadata());
  }

  /**
   * What `WorkerConnector.takeReport` of a rank returned. `rank` counts over all servers. Throws a RangeError where it is
   * no rank, or not the one that reports.
   */
  acceptReport(rank: number, report: RankReport): void {
    const place = shardOfRank(this.layout, rank);
    if (report.rank !== place.rank) {
      throw new RangeError(
        `rank ${rank} is rank ${place.rank} of shard ${place.shard} but reports as ${report.rank}: give its WorkerConnector the options of shardOfRank`,
      );
    }
    this.#shards[place.shard]!.acceptReport(report);
  }

  /**
   * vLLM: `update_connector_output`. Takes what has ended on all ranks of all shards, with the requests whose load failed
   * on any, and returns what to act on: each running request once, each finished one once when its blocks may be freed.
   */
  acceptFinished(ended: FinishedTransfers & { readonly failedLoads?: readonly string[] }): FinishedTransfers {
    const [told] = this.#shards.map((shard) => shard.acceptFinished(ended));
    return told!;
  }

  /** vLLM: `request_finished`. `true`: hold the request's blocks until {@link acceptFinished} returns it. */
  requestFinished(requestId: string): boolean {
    return this.#shards.map((shard) => shard.requestFinished(requestId)).includes(true);
  }

  /** As `SchedulerConnector.drain`, before a planned restart of one server: every query misses, the other shards stay. */
  async drain(shard: number): Promise<void> {
    await this.#shard(shard).drain();
  }

  /** As `SchedulerConnector.resume`, when that server may be back. */
  resume(shard: number): void {
    this.#shard(shard).resume();
  }

  /** Stops the ranks, unregisters and closes everything at every server, within `stopTimeoutMs`. Never rejects. */
  async stop(): Promise<StopOutcome> {
    const outcomes = await Promise.all(this.#shards.map((shard) => shard.stop()));
    const reasons = outcomes.flatMap((outcome, shard) =>
      outcome.kind === 'unconfirmed' ? [`${publicEndpoint(this.layout[shard]!.endpoint)}: ${outcome.reason}`] : [],
    );
    return reasons.length === 0 ? { kind: 'clean' } : { kind: 'unconfirmed', reason: reasons.join('; ') };
  }

  #shard(shard: number): SchedulerConnector {
    const found = this.#shards[shard];
    if (!found) throw new RangeError(`shard ${shard} is not one of ${this.#shards.length} shards`);
    return found;
  }
}

/** What is in every list; all are in ascending order. */
function commonTo([first = [], ...others]: readonly (readonly number[])[]): readonly number[] {
  const sets = others.map((positions) => new Set(positions));
  return first.filter((position) => sets.every((set) => set.has(position)));
}

function unlistenAll(unlisten: readonly (() => void)[]): () => void {
  return () => {
    for (const end of unlisten) end();
  };
}
