import { type Budgets, type Epoch, type Fault, FaultError, faultFrom, isSameEpoch } from '../../../machines/index.ts';
import type { QueryReady, QueryResponse } from '../../gen/pegaflow/engine_pb.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { SchedulerObserver } from '../../telemetry/observers.ts';
import { ByGroup } from '../by-group.ts';
import { checkGroupId } from '../options.ts';
import {
  type BlockCounts,
  countQuery,
  miss,
  noQueries,
  type Query,
  type QueryCounts,
  type QueryOutcome,
} from '../query.ts';
import { AbandonedQueries } from './abandoned-queries.ts';
import type { Breakers } from './breakers.ts';
import type { Distrust } from './distrust.ts';
import { blocksOf, type FoundBlocks, type Hit, isEnough, namedQuery, outcomeOf, type TakenHits } from './hits.ts';
import type { HeldLease, Leases } from './leases.ts';
import type { RefusedWork } from './refused-work.ts';
import { isServing, type Server, type ServiceOptions } from './service.ts';

/** Counts since the start. */
export interface SchedulerStats {
  queries: QueryCounts;
  blocks: BlockCounts;
  /** Answers that arrived when nobody could use them any more. */
  staleResults: number;
}

export interface CacheQueriesOptions extends ServiceOptions {
  readonly instanceId: string;
  readonly budgets: Budgets;
  readonly leases: Leases;
  readonly distrust: Distrust;
  readonly refusedWork: Pick<RefusedWork, 'takeWithdrawn' | 'loadablePrefix'>;
  readonly breakers: Pick<Breakers, 'admit' | 'isTrying' | 'begin' | 'passed' | 'tell'>;
  readonly observer: SchedulerObserver;
  /** Told of what speaks against the link or the registration. */
  readonly reportFault: (fault: Fault) => void;
}

const NOT_CONNECTED = miss('notConnected');
/** Who answers queries: one for all. */
const SERVER = 'server';

/** Asks the server for blocks, and holds what it leased until the request loads it or gives it up. */
export class CacheQueries {
  readonly stats: SchedulerStats = { queries: noQueries(), blocks: { asked: 0, hit: 0 }, staleResults: 0 };
  #options: CacheQueriesOptions;
  #hits = new ByGroup<Hit>();
  #abandoned: AbandonedQueries;
  /** The newest query that is under way. */
  #asked = new ByGroup<symbol>();
  /** The request whose hit is the try of a load. */
  #triedFor: string | null = null;
  #loading = new ByGroup<{ readonly digest: string; readonly sinceMs: number }>();

  constructor(options: CacheQueriesOptions) {
    this.#options = options;
    this.#abandoned = new AbandonedQueries(options.budgets);
  }

  async query(query: Query): Promise<QueryOutcome> {
    checkGroupId(query.groupId);
    const outcome = await this.#query(query);
    countQuery(this.stats, query, outcome);
    this.#options.observer.queried(outcome);
    return outcome;
  }

  /** Where in its query the blocks are that {@link take} would return for this group; empty where the hit is gone. */
  heldPositions(requestId: string, groupId = 0): readonly number[] {
    const hit = this.#hits.get(requestId, groupId);
    if (!hit || !this.#isServing(hit.epoch)) return [];
    return hit.positions ?? Array.from({ length: hit.blocks }, (_, position) => position);
  }

  /** The hits of a request in these groups, or `null` where one is gone. Whatever is not returned is given back. */
  take(requestId: string, groupIds: readonly number[]): TakenHits | null {
    const { leases, service } = this.#options;
    const { epoch } = service();
    const held = this.#hits.take(requestId).sort((a, b) => a.groupId - b.groupId);
    const hits = held.filter((hit) => groupIds.includes(hit.groupId) && this.#isServing(hit.epoch));
    const isWhole = hits.length > 0 && hits.length === groupIds.length;
    for (const hit of held) if (!isWhole || !hits.includes(hit)) leases.release(hit);
    return isWhole && epoch !== null ? { epoch, hits } : null;
  }

  /** Gives back the hits of this request, in one group or in all. */
  release(requestId: string, groupId?: number): void {
    const held = groupId === undefined ? this.#hits.take(requestId) : [this.#hits.get(requestId, groupId)];
    if (groupId !== undefined) this.#hits.delete(requestId, groupId);
    for (const hit of held) if (hit) this.#options.leases.release(hit);
  }

  /** Forgets a request that is over. A hit that is still to arrive for it is given back then. */
  forget(requestId: string): void {
    this.#loading.take(requestId);
    this.#asked.take(requestId);
    this.release(requestId);
  }

  /** `epoch` begins: gives back what earlier ones gave. */
  begin(epoch: Epoch): void {
    const outdated = this.#hits.takeWhere((hit) => !isSameEpoch(hit.epoch, epoch));
    for (const hit of outdated) this.#options.leases.release(hit);
  }

  releaseAll(): void {
    for (const hit of this.#hits.takeWhere(() => true)) this.#options.leases.release(hit);
  }

  async #query(query: Query): Promise<QueryOutcome> {
    const { requestId, groupId = 0 } = query;
    const { service, leases, breakers } = this.#options;
    const { epoch } = service();
    if (epoch === null) return NOT_CONNECTED;
    const { digest, copiedHashes } = namedQuery(epoch, query);
    const held = this.#hits.get(requestId, groupId);
    const refusal = this.#refusalOf(requestId, groupId);
    const isHeldGood =
      refusal === null && held !== undefined && this.#isFresh(held, epoch, digest) && isEnough(held, query);
    if (held && !isHeldGood) {
      this.#hits.delete(requestId, groupId);
      leases.release(held);
    }
    if (refusal !== null) return refusal;
    if (!isHeldGood && this.#abandoned.isFull) return miss('failed');
    const isTry = breakers.begin('loads');
    if (isTry) this.#triedFor = requestId;
    const outcome = isHeldGood
      ? outcomeOf(held)
      : await this.#lookUp({ ...query, blockHashes: copiedHashes() }, epoch, digest);
    if (isTry && outcome.kind !== 'hit') breakers.tell('loads', { type: 'inconclusive' });
    return outcome;
  }

  /** Why the server is not asked for this request now, or `null`. */
  #refusalOf(requestId: string, groupId: number): QueryOutcome | null {
    const { refusedWork, breakers, service } = this.#options;
    if (refusedWork.takeWithdrawn(requestId, groupId)) return miss('withdrawn');
    if (service().isAtHeldLimit) return miss('heldLimit');
    const mayLoad = breakers.admit('loads') || (breakers.isTrying('loads') && this.#triedFor === requestId);
    return mayLoad && breakers.admit('queries') ? null : miss('breakerOpen');
  }

  async #lookUp(named: Query, epoch: Epoch, digest: string): Promise<QueryOutcome> {
    const { requestId, groupId = 0 } = named;
    const { connection, breakers } = this.#options;
    const asked = Symbol(requestId);
    this.#asked.set(requestId, groupId, asked);
    const isTry = breakers.begin('queries');
    try {
      const { server } = connection;
      const outcome = await this.#ask(server, `${requestId}/${digest}`, named);
      breakers.passed('queries', SERVER);
      const isWanted = this.#isServing(epoch) && this.#asked.get(requestId, groupId) === asked;
      if (outcome.case === 'loading' && isWanted) return this.#stillLoading(named, digest);
      const ready = outcome.case === 'ready' ? outcome.value : null;
      const lease = leaseOf(outcome);
      if (!isWanted) return this.#supersede(server, lease);
      this.#loading.delete(requestId, groupId);
      return ready === null || lease.length === 0
        ? miss('notCached')
        : this.#accept(named, ready, { epoch, lease, digest });
    } catch (error) {
      const fault = faultFrom(error);
      if (isAgainstQueries(fault)) breakers.tell('queries', { type: 'refused', source: SERVER, words: '', fault });
      else if (isTry) breakers.tell('queries', { type: 'inconclusive' });
      this.#reportFault(fault, epoch);
      return miss('failed');
    } finally {
      if (this.#asked.get(requestId, groupId) === asked) this.#asked.delete(requestId, groupId);
    }
  }

  /**
   * The deadline is ours alone: on the wire it would cost every query a header to write, to read and to time. The call is
   * not cancelled by it, or nobody would learn of the lease that it may still bring.
   */
  #ask(server: Server, reqId: string, query: Query): Promise<QueryResponse['outcome']> {
    const { instanceId, budgets } = this.#options;
    const { groupId = 0, isAllOrNothing = false } = query;
    const blockHashes = query.blockHashes as Uint8Array[];
    const waitForFullPrefix = isAllOrNothing && groupId > 0;
    const request = { instanceId, blockHashes, reqId, groupId, waitForFullPrefix };
    const withdrawal = new AbortController();
    const answered = server.call((client) => client.queryPrefetch(request, { signal: withdrawal.signal }));
    return new Promise((resolve, reject) => {
      const cancel = ioFirstTimer(budgets.queryTimeoutMs, () => {
        const message = `no answer to a query in ${budgets.queryTimeoutMs} ms`;
        reject(new FaultError({ kind: 'timedOut', message }));
        answered.then(({ outcome }) => this.#supersede(server, leaseOf(outcome))).catch(() => {});
        this.#abandoned.add(answered, () => withdrawal.abort());
      });
      answered
        .finally(cancel)
        .then(({ outcome }) => resolve(outcome))
        .catch(reject);
    });
  }

  /** The epoch is over, or nobody waits for the answer any more. */
  #supersede(server: Server, lease: Uint8Array): QueryOutcome {
    this.#countFenced();
    if (lease.length > 0) this.#options.leases.releaseAt(server, lease);
    return miss('superseded');
  }

  #accept(query: Query, ready: QueryReady, held: HeldLease & Pick<Hit, 'digest'>): QueryOutcome {
    const { requestId, groupId = 0, blockHashes } = query;
    const found = blocksOf(ready, query);
    const loadable = found && upTo(found, this.#options.refusedWork.loadablePrefix(hashesAt(found, query)));
    const trusted = loadable && upTo(loadable, this.#options.distrust.trustedPrefix(hashesAt(loadable, query)));
    if (trusted !== null && isEnough(trusted, query)) {
      const hit = {
        ...held,
        ...trusted,
        blockHashes: hashesAt(trusted, query),
        leasedBlocks: found!.blocks,
        groupId,
        sinceMs: performance.now(),
      };
      this.#hits.set(requestId, groupId, hit);
      return outcomeOf(hit);
    }
    this.#options.leases.release(held);
    if (loadable !== null && isEnough(loadable, query)) return miss('distrusted');
    if (found !== null) return miss(isEnough(found, query) ? 'withdrawn' : 'notCached');
    const message = `${ready.numHitBlocks} hits at [${ready.hitPositions}] of ${blockHashes.length} blocks cannot be`;
    throw new FaultError({ kind: 'defect', message });
  }

  #isServing(epoch: Epoch): boolean {
    return isServing(this.#options.service(), epoch);
  }

  #isFresh(hit: Hit, epoch: Epoch, digest: string): boolean {
    const ageMs = performance.now() - hit.sinceMs;
    return hit.digest === digest && isSameEpoch(hit.epoch, epoch) && ageMs < this.#options.budgets.leaseReuseMs;
  }

  #stillLoading({ requestId, groupId = 0 }: Query, digest: string): QueryOutcome {
    const nowMs = performance.now();
    const last = this.#loading.get(requestId, groupId);
    const sinceMs = last?.digest === digest ? last.sinceMs : nowMs;
    this.#loading.set(requestId, groupId, { digest, sinceMs });
    return nowMs - sinceMs < this.#options.budgets.loadingTimeoutMs ? { kind: 'loading' } : miss('failed');
  }

  #countFenced(): void {
    this.stats.staleResults += 1;
    this.#options.observer.fenced();
  }

  /** A refusal in known words says nothing about the registration; everything else has it looked for, in its own epoch. */
  #reportFault(fault: Fault, epoch: Epoch): void {
    if (!isSameEpoch(epoch, this.#options.service().announcement.epoch)) this.#countFenced();
    else if (fault.kind !== 'rejected' || fault.isUnknown) this.#options.reportFault(fault);
  }
}

/** Whether the next query will fare no better. */
function isAgainstQueries({ kind, isUnknown }: Fault): boolean {
  return kind === 'timedOut' || kind === 'incompatible' || isUnknown === true;
}

function hashesAt({ blocks, positions }: FoundBlocks, { blockHashes }: Query): readonly Uint8Array[] {
  return positions === null ? blockHashes.slice(0, blocks) : positions.map((position) => blockHashes[position]!);
}

function upTo({ positions }: FoundBlocks, blocks: number): FoundBlocks {
  return { blocks, positions: positions?.slice(0, blocks) ?? null };
}

/** A copy: the decoded bytes are a view that would keep the whole received chunk alive. */
function leaseOf(outcome: QueryResponse['outcome']): Uint8Array {
  return Uint8Array.from(outcome.case === 'ready' ? outcome.value.lease : []);
}
