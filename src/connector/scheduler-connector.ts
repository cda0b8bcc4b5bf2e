import { randomUUID } from 'node:crypto';
import { type Actor, createActor, type InspectionEvent, type SnapshotFrom, toPromise } from 'xstate';
import {
  type Announcement,
  type Budgets,
  budgetsFrom,
  type Epoch,
  type Fault,
  FaultError,
  faultFrom,
  isSameEpoch,
  paceCeilingMs,
  pushbackMs,
  type RankReport,
  redialCeilingMs,
  type SchedulerEvent,
  type StopOutcome,
  schedulerMachine,
  voidCeilingMs,
} from '../../machines/index.ts';
import { createClear } from '../actors/clear.ts';
import { createLink } from '../actors/link.ts';
import { createOpenSession, type SessionOwner } from '../actors/open-session.ts';
import { Owners } from '../actors/owners.ts';
import { createProbeVersion } from '../actors/probe-version.ts';
import { createRetire } from '../actors/retire.ts';
import { createSurvey } from '../actors/survey.ts';
import type { QueryResponse } from '../gen/pegaflow/engine_pb.ts';
import { PEGAFLOW_VERSION } from '../pegaflow-version.ts';
import { Connection, type ServerLink } from '../rpc/connection.ts';
import { type HeldLease, type Hit, Hits, queryDigest } from './hits.ts';
import type { ConnectorMetadata, FinishedTransfers } from './metadata.ts';
import { checkInstanceOptions, checkRank, type InstanceOptions } from './options.ts';
import { RequestLedger } from './request-ledger.ts';
import { type ConnectorStatus, StatusBoard } from './status.ts';

export interface SchedulerConnectorOptions extends InstanceOptions {
  /** Ranks that one server keeps apart; 1 where MLA ranks share one copy. */
  readonly tpSize: number;
  /** Sees every event, snapshot and microstep of the machine, as XState tells them. */
  readonly inspect?: (event: InspectionEvent) => void;
}

/** What a query found. A missing cache is an outcome, never an exception. */
export type QueryOutcome =
  /** The first `blocks` blocks are held for this request until it loads or releases them. */
  | { readonly kind: 'hit'; readonly blocks: number }
  /** The server is fetching them: ask again. */
  | { readonly kind: 'loading' }
  | { readonly kind: 'miss'; readonly reason: MissReason };

/**
 * - `notCached`: the server has none of these blocks
 * - `notConnected`: there is no server in service; no RPC was made
 * - `failed`: the server refused, or did not answer in time
 * - `superseded`: the answer belongs to an epoch that is over, or came when the request had finished or asked anew
 */
export type MissReason = 'notCached' | 'notConnected' | 'failed' | 'superseded';

export interface Query {
  readonly requestId: string;
  /** In prefix order. */
  readonly blockHashes: readonly Uint8Array[];
}

export interface Save {
  readonly requestId: string;
  /** Blocks of every layer, on every rank. Parallel to `blockHashes`. */
  readonly blockIds: readonly number[];
  readonly blockHashes: readonly Uint8Array[];
}

/** Counts since the start. */
export interface SchedulerStats {
  queries: Record<'hit' | 'loading' | MissReason, number>;
  /** Answers that arrived when nobody could use them any more. */
  fencedResults: number;
}

const NOT_CONNECTED: QueryOutcome = { kind: 'miss', reason: 'notConnected' };

interface SchedulerOwner extends SessionOwner {
  readonly clientVersion: string;
}

const owners = new Owners<SchedulerOwner>();

const machine = schedulerMachine.provide({
  actors: {
    link: createLink<SchedulerEvent>(owners.of),
    openSession: createOpenSession(owners.of),
    survey: createSurvey(owners.of),
    clear: createClear(owners.of),
    probeVersion: createProbeVersion(owners.of),
    retire: createRetire(owners.of),
  },
  delays: {
    redialBackoff: ({ context: { failedAttempts, evidence, budgets } }) =>
      Math.random() * redialCeilingMs(failedAttempts, budgets) + pushbackMs(evidence?.fault, budgets),
    voidBackoff: ({ context: { voidGenerations, evidence, budgets } }) =>
      Math.random() * voidCeilingMs(voidGenerations, budgets) + pushbackMs(evidence?.fault, budgets),
    registrationPace: ({ context: { clearTookMs, worldSize, budgets } }) =>
      Math.random() * paceCeilingMs(clearTookMs, worldSize, budgets),
  },
});

/** The scheduler's half of a connector: asks the cache, and runs every registration generation. */
export class SchedulerConnector {
  readonly stats: SchedulerStats = {
    queries: { hit: 0, loading: 0, notCached: 0, notConnected: 0, failed: 0, superseded: 0 },
    fencedResults: 0,
  };
  #options: SchedulerConnectorOptions;
  #budgets: Budgets;
  #connection: Connection;
  #actor: Actor<typeof schedulerMachine>;
  #board: StatusBoard;
  #hits = new Hits();
  /** Leases to give back when a server is in service again. */
  #owed: HeldLease[] = [];
  #ledger = new RequestLedger();
  /** The newest query of each request that is under way. */
  #asked = new Map<string, symbol>();
  #loadingSinceMs = new Map<string, number>();
  #announcementListeners = new Set<(announcement: Announcement) => void>();
  #announcement: Announcement;
  /** Set exactly while the cache may be used. */
  #epoch: Epoch | null = null;
  #isStarted = false;
  #stopped: Promise<StopOutcome> | null = null;

  /** Throws a RangeError or TypeError for an option that cannot work. */
  constructor(options: SchedulerConnectorOptions) {
    checkInstanceOptions(options);
    this.#options = options;
    this.#budgets = budgetsFrom(options.budgets);
    this.#connection = new Connection({ endpoint: options.endpoint, budgets: this.#budgets });
    this.#actor = createActor(machine, {
      input: { schedulerBootId: randomUUID(), worldSize: options.worldSize, budgets: this.#budgets },
      ...(options.inspect ? { inspect: options.inspect } : {}),
    });
    const { instanceId, namespace, tpSize, worldSize, clientVersion = PEGAFLOW_VERSION } = options;
    owners.set(this.#actor.system, {
      connection: this.#connection,
      session: { instanceId, namespace, tpSize, worldSize },
      clientVersion,
      onSessionEnded: (fault) => this.#send({ type: 'session.ended', fault }),
    });
    const { value, context } = this.#actor.getSnapshot();
    this.#announcement = context.announcement;
    this.#board = new StatusBoard(value, context.announcement.epoch);
    this.#actor.subscribe((snapshot) => this.#follow(snapshot));
  }

  /** Begins to look for the server. Returns at once; until it is found every query is a miss. */
  start(): void {
    this.#isStarted = true;
    this.#actor.start();
  }

  get status(): ConnectorStatus {
    return this.#board.status;
  }

  onStatus(listener: (status: ConnectorStatus) => void): () => void {
    return this.#board.listen(listener);
  }

  /** Tells `listener` the announcement there is and every one that follows: the push form of {@link buildMetadata}. */
  onAnnounce(listener: (announcement: Announcement) => void): () => void {
    this.#announcementListeners.add(listener);
    listener(this.#announcement);
    this.#confirmDelivery();
    return () => this.#announcementListeners.delete(listener);
  }

  /** vLLM: `get_num_new_matched_tokens`. Asking again for the same blocks costs no RPC while the hit is fresh. */
  async query({ requestId, blockHashes }: Query): Promise<QueryOutcome> {
    const outcome = await this.#query(requestId, blockHashes);
    this.stats.queries[outcome.kind === 'miss' ? outcome.reason : outcome.kind] += 1;
    return outcome;
  }

  /**
   * vLLM: `update_state_after_alloc`. Loads the hit of this request in the next step; `blockIds` has one entry per
   * block of the hit, `null` for one that is not wanted. `false`: the hit is gone, treat it as a miss.
   */
  scheduleLoad(requestId: string, blockIds: readonly (number | null)[]): boolean {
    const hit = this.#hits.take(requestId);
    if (!hit) return false;
    if (!this.#isCurrent(hit.epoch)) {
      this.#release(hit);
      return false;
    }
    if (blockIds.length !== hit.blocks) {
      this.#release(hit);
      throw new RangeError(`request ${requestId}: ${blockIds.length} block ids for a hit of ${hit.blocks} blocks`);
    }
    this.#ledger.scheduleLoad({ requestId, epoch: hit.epoch, lease: hit.lease, blockIds });
    return true;
  }

  /** Saves these blocks in the next step. Best effort: a save that fails is only a later miss. */
  scheduleSave({ requestId, blockIds, blockHashes }: Save): void {
    if (blockIds.length !== blockHashes.length) {
      throw new RangeError(`request ${requestId}: ${blockIds.length} block ids and ${blockHashes.length} hashes`);
    }
    this.#ledger.scheduleSave({ requestId, epoch: this.#announcement.epoch, blockIds, blockHashes });
  }

  /** Gives up a hit that will not be loaded. */
  release(requestId: string): void {
    const hit = this.#hits.take(requestId);
    if (hit) this.#release(hit);
  }

  /** vLLM: `build_connector_meta`. Call it once a step and carry the result to every rank. */
  buildMetadata(): ConnectorMetadata {
    this.#confirmDelivery();
    return { announcement: this.#announcement, ...this.#ledger.drain() };
  }

  /**
   * What {@link WorkerConnector.takeReport} of a rank returned. Repeats and late ones do no harm; a rank that is not one
   * of `worldSize` is a RangeError.
   */
  acceptReport(report: RankReport): void {
    checkRank('the report of rank', report.rank, this.#options.worldSize);
    this.#send({ type: 'report.received', report });
  }

  /**
   * vLLM: `update_connector_output`. Takes what has ended on all ranks, with the requests whose load failed on any,
   * and returns what to act on: each running request once, each finished one once when its blocks may be freed.
   */
  acceptFinished(ended: FinishedTransfers & { readonly failedLoads?: readonly string[] }): FinishedTransfers {
    const { finished, loads } = this.#ledger.settle(ended);
    const failed = new Set(ended.failedLoads);
    // A rank that did not load left its share: the lease would pin the blocks until it expires.
    for (const load of loads) if (failed.has(load.requestId)) this.#release(load);
    return finished;
  }

  /** vLLM: `request_finished`. `true`: hold the request's blocks until {@link acceptFinished} returns it. */
  requestFinished(requestId: string): boolean {
    this.#loadingSinceMs.delete(requestId);
    this.#asked.delete(requestId);
    this.release(requestId);
    const withdrawn = this.#ledger.withdrawLoad(requestId);
    if (withdrawn) this.#release(withdrawn);
    return this.#ledger.finish(requestId);
  }

  /** Stops the ranks, unregisters and closes everything, within `stopTimeoutMs`. Never rejects. */
  stop(): Promise<StopOutcome> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<StopOutcome> {
    // Never started, nothing is ours: what the server holds under this id belongs to somebody else.
    if (!this.#isStarted) return { kind: 'clean' };
    for (const hit of this.#hits.takeAll()) this.#release(hit);
    this.#send({ type: 'stop' });
    const outcome = await toPromise(this.#actor).catch(
      (error): StopOutcome => ({ kind: 'unconfirmed', reason: faultFrom(error).message }),
    );
    this.#connection[Symbol.dispose]();
    return outcome;
  }

  async #query(requestId: string, blockHashes: readonly Uint8Array[]): Promise<QueryOutcome> {
    const epoch = this.#epoch;
    if (epoch === null) return NOT_CONNECTED;
    const digest = queryDigest(epoch, 0, blockHashes);
    const held = this.#hits.get(requestId);
    if (held && this.#isFresh(held, epoch, digest)) return { kind: 'hit', blocks: held.blocks };
    if (held) this.release(requestId);
    const asked = Symbol(requestId);
    this.#asked.set(requestId, asked);
    try {
      const server = this.#connection.server;
      const { outcome } = await this.#ask(server, `${requestId}/${digest}`, blockHashes);
      const isWanted = this.#isCurrent(epoch) && this.#asked.get(requestId) === asked;
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
    const { instanceId } = this.#options;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#budgets.queryTimeoutMs);
    const request = { instanceId, blockHashes: blockHashes as Uint8Array[], reqId };
    try {
      return await server.call((client) => client.queryPrefetch(request, { signal: deadline.signal }));
    } catch (error) {
      if (!deadline.signal.aborted) throw error;
      const message = `no answer to a query in ${this.#budgets.queryTimeoutMs} ms`;
      throw new FaultError({ kind: 'timedOut', message }, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The epoch is over, or nobody waits for the answer any more. */
  #supersede(server: ServerLink, lease: Uint8Array): QueryOutcome {
    this.stats.fencedResults += 1;
    if (lease.length > 0) this.#releaseAt(server, lease);
    return { kind: 'miss', reason: 'superseded' };
  }

  #accept(hit: Hit): QueryOutcome {
    if (hit.blocks === 0) return { kind: 'miss', reason: 'notCached' };
    this.#hits.add(hit);
    return { kind: 'hit', blocks: hit.blocks };
  }

  #isCurrent(epoch: Epoch): boolean {
    return this.#epoch !== null && isSameEpoch(epoch, this.#epoch);
  }

  #isFresh(hit: Hit, epoch: Epoch, digest: string): boolean {
    const ageMs = performance.now() - hit.sinceMs;
    return hit.digest === digest && isSameEpoch(hit.epoch, epoch) && ageMs < this.#budgets.leaseReuseMs;
  }

  #stillLoading(requestId: string): QueryOutcome {
    const nowMs = performance.now();
    const sinceMs = this.#loadingSinceMs.get(requestId) ?? nowMs;
    this.#loadingSinceMs.set(requestId, sinceMs);
    return nowMs - sinceMs < this.#budgets.loadingTimeoutMs ? { kind: 'loading' } : { kind: 'miss', reason: 'failed' };
  }

  /** A refusal of one request says nothing about the registration; everything else is evidence, in its own epoch. */
  #suspect(fault: Fault, epoch: Epoch): void {
    if (!isSameEpoch(epoch, this.#announcement.epoch)) this.stats.fencedResults += 1;
    else if (fault.kind !== 'rejected') this.#send({ type: 'rpc.failed', fault });
  }

  /** Gives a lease back, now or when a server is in service that may still hold it. */
  #release(held: HeldLease): void {
    if (this.#epoch === null || !this.#connection.isUp) this.#owed.push(held);
    else if (this.#isStillHeld(held, this.#epoch)) this.#releaseAt(this.#connection.server, held.lease);
  }

  /** A clear drops every lease of the epochs before it; a `keep` drops none. */
  #isStillHeld({ epoch }: HeldLease, current: Epoch): boolean {
    return isSameEpoch(epoch, current) || this.#announcement.action === 'keep';
  }

  /** Best effort: what is not released expires at the server. */
  #releaseAt(server: ServerLink, lease: Uint8Array): void {
    const timeoutMs = this.#budgets.releaseTimeoutMs;
    server.call((client) => client.release({ lease }, { timeoutMs })).catch(() => {});
  }

  /** What arrives after the end is not news. */
  #send(event: SchedulerEvent): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event);
  }

  #confirmDelivery(): void {
    this.#send({ type: 'announcement.delivered', epoch: this.#announcement.epoch });
  }

  #follow(snapshot: SnapshotFrom<typeof schedulerMachine>): void {
    const { announcement, evidence } = snapshot.context;
    const wasUsable = this.#epoch !== null;
    this.#epoch = snapshot.hasTag('cacheUsable') ? announcement.epoch : null;
    if (announcement !== this.#announcement) this.#announce(announcement);
    if (!wasUsable && this.#epoch !== null) this.#settleLeases(this.#epoch);
    this.#board.post(snapshot.value, announcement.epoch, evidence?.fault ?? null);
  }

  #settleLeases(epoch: Epoch): void {
    for (const held of [...this.#owed.splice(0), ...this.#hits.takeOutdated(epoch)]) this.#release(held);
  }

  #announce(announcement: Announcement): void {
    this.#announcement = announcement;
    for (const listener of this.#announcementListeners) listener(announcement);
    if (this.#announcementListeners.size > 0) this.#confirmDelivery();
  }
}
