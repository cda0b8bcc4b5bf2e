import { create } from '@bufbuild/protobuf';
import { type QueryRequest, type QueryResponse, QueryResponseSchema } from '../../gen/pegaflow/engine_pb.ts';
import { badRequest, invalidArgument } from '../engine-error.ts';
import type { EngineMetrics } from '../engine-metrics.ts';
import type { Instance, InstanceStore } from '../registration/instances.ts';
import type { EngineClock } from '../timing/engine-clock.ts';
import { type BlockStore, blockKey, type StoredBlock } from './block-store.ts';
import type { LeaseTable } from './lease-table.ts';

export interface QueryDependencies {
  readonly instances: InstanceStore;
  readonly blocks: BlockStore;
  readonly leases: LeaseTable;
  readonly clock: EngineClock;
  readonly metrics: EngineMetrics;
  /** How often a new request id is answered Loading before its result. */
  readonly loadingAnswers: () => number;
}

interface Prefetch {
  readonly query: QueryRequest;
  readonly sinceMs: number;
  loadingAnswersLeft: number;
}

const empty = new Uint8Array(0);

/** Look-ups, and prefetch tasks keyed by request id alone: a result goes to whoever asks next with that id. */
export class QueryDesk {
  readonly #dependencies: QueryDependencies;
  readonly #prefetches = new Map<string, Prefetch>();

  constructor(dependencies: QueryDependencies) {
    this.#dependencies = dependencies;
  }

  query(request: QueryRequest): QueryResponse {
    if (request.reqId === '') throw badRequest('req_id must not be empty');
    const { instances } = this.#dependencies;
    const instance = instances.require(request.instanceId);
    if (request.groupId > 0) {
      const groupCount = instances.requireSealed(request.instanceId).topology.groups.length;
      if (request.groupId >= groupCount) {
        throw invalidArgument(`storage group ${request.groupId} out of range (${groupCount} groups)`);
      }
    }
    const canLoad = request.groupId === 0 || request.waitForFullPrefix;
    const query = canLoad ? this.#prefetched(request) : request;
    if (query === null) return create(QueryResponseSchema, { outcome: { case: 'loading', value: {} } });
    const keys = query.blockHashes.map((hash) => blockKey(instance.namespace, hash, query.groupId));
    if (query.groupId === 0) return this.#prefix(instance, keys);
    return query.waitForFullPrefix ? this.#allOrNothing(instance, keys) : this.#membership(instance, keys);
  }

  /** Drops prefetch tasks older than `maxAgeMs`. */
  collectGarbage(maxAgeMs: number): void {
    const { clock, metrics } = this.#dependencies;
    for (const [reqId, { sinceMs }] of this.#prefetches) {
      if (clock.nowMs() - sinceMs <= maxAgeMs) continue;
      this.#prefetches.delete(reqId);
      metrics.prefetchStaleGc.add(1);
    }
  }

  /** The query whose result is due under this request id, or `null` while it is loading. */
  #prefetched(request: QueryRequest): QueryRequest | null {
    const running = this.#prefetches.get(request.reqId) ?? this.#start(request);
    if (running === null) return request;
    if (running.loadingAnswersLeft > 0) {
      running.loadingAnswersLeft -= 1;
      return null;
    }
    this.#prefetches.delete(request.reqId);
    return running.query;
  }

  #start(query: QueryRequest): Prefetch | null {
    const { clock, loadingAnswers } = this.#dependencies;
    const loadingAnswersLeft = loadingAnswers();
    if (loadingAnswersLeft === 0 || query.blockHashes.length === 0) return null;
    const prefetch = { query, sinceMs: clock.nowMs(), loadingAnswersLeft };
    this.#prefetches.set(query.reqId, prefetch);
    return prefetch;
  }

  /** As far as blocks follow each other. One that is behind a gap is not touched. */
  #leadingRun(keys: readonly string[]): StoredBlock[] {
    const hits: StoredBlock[] = [];
    for (const key of keys) {
      const block = this.#dependencies.blocks.touch(key);
      if (block === null) break;
      hits.push(block);
    }
    this.#count(hits.length, keys.length);
    return hits;
  }

  #prefix(instance: Instance, keys: readonly string[]): QueryResponse {
    const hits = this.#leadingRun(keys);
    return this.#ready(hits.length, this.#lease(instance, hits), []);
  }

  #allOrNothing(instance: Instance, keys: readonly string[]): QueryResponse {
    const hits = this.#leadingRun(keys);
    const lease = hits.length < keys.length ? empty : this.#lease(instance, hits);
    return this.#ready(hits.length, lease, [...hits.keys()]);
  }

  /** Each block for itself, which the server counts neither as hits nor as misses. */
  #membership(instance: Instance, keys: readonly string[]): QueryResponse {
    const found = keys.map((key) => this.#dependencies.blocks.touch(key));
    const positions = [...found.keys()].filter((i) => found[i] !== null);
    const hits = found.filter((block) => block !== null);
    return this.#ready(hits.length, this.#lease(instance, hits), positions);
  }

  #lease(instance: Instance, hits: readonly StoredBlock[]): Uint8Array {
    return hits.length === 0 ? empty : this.#dependencies.leases.create(instance.id, hits, instance.worldSize);
  }

  #ready(hitCount: number, lease: Uint8Array, hitPositions: number[]): QueryResponse {
    const value = { numHitBlocks: BigInt(hitCount), lease, hitPositions };
    return create(QueryResponseSchema, { outcome: { case: 'ready', value } });
  }

  #count(hits: number, queried: number): void {
    const { metrics } = this.#dependencies;
    if (hits > 0) {
      metrics.cacheHits.add(hits);
      metrics.cacheTierBlockRequests.add(hits, { tier: 'ram' });
    }
    if (queried > hits) {
      metrics.cacheMisses.add(queried - hits);
      metrics.cacheTierBlockRequests.add(queried - hits, { tier: 'miss' });
    }
  }
}
