import { type Budgets, type Epoch, type Fault, FaultError, faultFrom, isSameEpoch } from '../../machines/index.ts';
import type { QueryResponse } from '../gen/pegaflow/engine_pb.ts';
import { patientTimer } from '../patient-timer.ts';
import type { Connection, ServerLink } from '../rpc/connection.ts';
import type { Distrust } from './distrust.ts';
import { type Hit, Hits, queryDigest } from './hits.ts';
import type { Leases } from './leases.ts';
import type { MissReason, Query, QueryOutcome } from './query.ts';
import { isServing, type Service } from './service.ts';

/** Counts since the start. */
export interface SchedulerStats {
  queries: Record<'hit' | 'loading' | MissReason, number>;
  /** Answers that arrived when nobody could use them any more. */
  fencedResults: number;
}

export interface CacheQueriesOptions {
  readonly instanceId: string;
  readonly budgets: Budgets;
  readonly connection: Connection;
  readonly leases: Leases;
  readonly distrust: Distrust;
  readonly service: () => Service;
  /** Told of what speaks against the link or the registration. */
  readonly suspect: (fault: Fault) => void;
}

const NOT_CONNECTED: QueryOutcome = { kind: 'miss', reason: 'notConnected' };

/** Asks the server for blocks, and holds what it leased until the request loads it or gives it up. */
export class CacheQueries {
  readonly stats: SchedulerStats = {
    queries: { hit: 0, loading: 0, notCached: 0, notConnected: 0, failed: 0, superseded: 0, distrusted: 0 },
    fencedResults: 0,
  };
  #options: CacheQueriesOptions;
  #hits = new Hits();
  /** The newest query of each request that is under way. */
  #asked = new Map<string, symbol>();
  #loadingSinceMs = new Map<string, number>();

  constructor(options: CacheQueriesOptions) {
    this.#options = options;
  }

  async query(query: Query): Promise<QueryOutcome> {
    const outcome = this.#trusted(query, await this.#query(query));
    this.stats.queries[outcome.kind === 'miss' ? outcome.reason : outcome.kind] += 1;
    return outcome;
  }

  /** Blocks of the hit that {@link take} would return; 0 where it is gone. */
  heldBlocks(requestId: string): number {
    const hit = this.#hits.get(requestId);
    return hit && isServing(this.#options.service(), hit.epoch) ? hit.blocks : 0;
  }

  /** The hit that this request is about to load, or `null` where it is gone. */
  take(requestId: string): Hit | null {
    const hit = this.#hits.take(requestId);
    if (!hit) return null;
    if (isServing(this.#options.service(), hit.epoch)) return hit;
    this.#options.leases.release(hit);
    return null;
  }

  /** Gives back the hit of this request. */
  release(requestId: string): void {
    const hit = this.#hits.take(requestId);
    if (hit) this.#options.leases.release(hit);
  }

  /** Forgets a request that is over. A hit that is still to arrive for it is given back then. */
  forget(requestId: string): void {
    this.#loadingSinceMs.delete(requestId);
    this.#asked.delete(requestId);
    this.release(requestId);
  }

  /** `epoch` begins: gives back what earlier ones gave. */
  begin(epoch: Epoch): void {
    for (const hit of this.#hits.takeOutdated(epoch)) this.#options.leases.release(hit);
  }

  releaseAll(): void {
    for (const hit of this.#hits.takeAll()) this.#options.leases.release(hit);
  }

  /** As much of a hit as nothing speaks against. */
  #trusted({ requestId, blockHashes }: Query, outcome: QueryOutcome): QueryOutcome {
    if (outcome.kind !== 'hit') return outcome;
    const blocks = this.#options.distrust.trustedPrefix(blockHashes.slice(0, outcome.blocks));
    if (blocks > 0) return { kind: 'hit', blocks };
    this.release(requestId);
    return { kind: 'miss', reason: 'distrusted' };
  }

  async #query({ requestId, blockHashes }: Query): Promise<QueryOutcome> {
    const { connection, service } = this.#options;
    const { epoch } = service();
    if (epoch === null) return NOT_CONNECTED;
    const digest = queryDigest(epoch, 0, blockHashes);
    const held = this.#hits.get(requestId);
    if (held && this.#isFresh(held, epoch, digest)) return { kind: 'hit', blocks: held.blocks };
    if (held) this.release(requestId);
    const asked = Symbol(requestId);
    this.#asked.set(requestId, asked);
    try {
      const { server } = connection;
      const { outcome } = await this.#ask(server, `${requestId}/${digest}`, blockHashes);
      const isWanted = isServing(service(), epoch) && this.#asked.get(requestId) === asked;
      if (outcome.case === 'loading' && isWanted) return this.#stillLoading(requestId);
      this.#loadingSinceMs.delete(requestId);
      const ready = outcome.case === 'ready' ? outcome.value : null;
      const blocks = Number(ready?.numHitBlocks ?? 0n);
      // A copy: the decoded bytes are a view that would keep the whole received chunk alive.
      const lease = Uint8Array.from(ready?.lease ?? []);
      if (!isWanted) return this.#supersede(server, lease);
      return this.#accept({ requestId, epoch, digest, lease, blocks, sinceMs: performance.now() });
    } catch (error) {
      this.#suspect(faultFrom(error), epoch);
      return { kind: 'miss', reason: 'failed' };
    } finally {
      if (this.#asked.get(requestId) === asked) this.#asked.delete(requestId);
    }
  }

  /** The deadline is ours alone: on the wire it would cost every query a header to write, to read and to time. */
  async #ask(server: ServerLink, reqId: string, blockHashes: readonly Uint8Array[]): Promise<QueryResponse> {
    const { instanceId, budgets } = this.#options;
    const deadline = new AbortController();
    const cancel = patientTimer(budgets.queryTimeoutMs, () => deadline.abort());
    const request = { instanceId, blockHashes: blockHashes as Uint8Array[], reqId };
    try {
      return await server.call((client) => client.queryPrefetch(request, { signal: deadline.signal }));
    } catch (error) {
      if (!deadline.signal.aborted) throw error;
      const message = `no answer to a query in ${budgets.queryTimeoutMs} ms`;
      throw new FaultError({ kind: 'timedOut', message }, { cause: error });
    } finally {
      cancel();
    }
  }

  /** The epoch is over, or nobody waits for the answer any more. */
  #supersede(server: ServerLink, lease: Uint8Array): QueryOutcome {
    this.stats.fencedResults += 1;
    if (lease.length > 0) this.#options.leases.releaseAt(server, lease);
    return { kind: 'miss', reason: 'superseded' };
  }

  #accept(hit: Hit): QueryOutcome {
    if (hit.blocks === 0) return { kind: 'miss', reason: 'notCached' };
    this.#hits.add(hit);
    return { kind: 'hit', blocks: hit.blocks };
  }

  #isFresh(hit: Hit, epoch: Epoch, digest: string): boolean {
    const ageMs = performance.now() - hit.sinceMs;
    return hit.digest === digest && isSameEpoch(hit.epoch, epoch) && ageMs < this.#options.budgets.leaseReuseMs;
  }

  #stillLoading(requestId: string): QueryOutcome {
    const nowMs = performance.now();
    const sinceMs = this.#loadingSinceMs.get(requestId) ?? nowMs;
    this.#loadingSinceMs.set(requestId, sinceMs);
    const { loadingTimeoutMs } = this.#options.budgets;
    return nowMs - sinceMs < loadingTimeoutMs ? { kind: 'loading' } : { kind: 'miss', reason: 'failed' };
  }

  /** A refusal of one request says nothing about the registration; everything else is evidence, in its own epoch. */
  #suspect(fault: Fault, epoch: Epoch): void {
    if (!isSameEpoch(epoch, this.#options.service().announcement.epoch)) this.stats.fencedResults += 1;
    else if (fault.kind !== 'rejected') this.#options.suspect(fault);
  }
}
