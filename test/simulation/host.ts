import type { ConnectorMetadata } from '../../src/connector/index.ts';
import type { BlockPool } from './block-pool.ts';
import { chainHash } from './content.ts';
import { hearingOf } from './hearing.ts';
import type { Instance, Rank } from './instance.ts';
import type { Kernel } from './kernel.ts';
import type { Random } from './random.ts';
import { RankTally } from './rank-tally.ts';
import { type RankOutput, StepMessenger } from './step-messenger.ts';
import type { Tallies } from './tallies.ts';
import { Violation } from './violation.ts';

type Stage = 'waiting' | 'asking' | 'ready' | 'loading' | 'running' | 'preempting';

interface HostRequest {
  readonly id: string;
  hashes: readonly Uint8Array[];
  stage: Stage;
  blocks: readonly number[];
  hit: number;
  stepsLeft: number;
  isSaved: boolean;
  /** Its load failed, and it has not asked since. */
  hasFailed: boolean;
  sinceMs: number;
}

const nothing: RankOutput = { loaded: [], saved: [], failedLoads: [], isIdle: true };

/** Milliseconds on top of a declared budget: for the host's own steps and messages. */
const SLACK_MS = 3_000;
/** Milliseconds between two looks of an idle engine for requests. */
const IDLE_LOOK_MS = 200;
const REQUESTS_MAX = 6;
const PREFIXES = 5;

/**
 * The engine around a connector, as vLLM is one: steps that schedule requests, run them on all ranks and take in what
 * has ended, with a pool of blocks that are used again as soon as the connector hands them back.
 */
export class Host {
  readonly instance: Instance;
  readonly pool: BlockPool;
  /** Milliseconds from step to step while there is something to do. */
  readonly stepIntervalMs: number;
  /** How likely a new request arrives with a step. */
  arrivalChance = 0;
  /** How likely it brings a prefix that nobody has used before, in the place of the oldest: a server does not copy again what it has. */
  newPrefixChance = 0;
  isStopped = false;
  /** Chains whose load was verified, by name of their prefix. */
  readonly verifiedPrefixes = new Set<string>();
  /** Time that processes of this instance stood still or were away: budgets run on. */
  excusedMs = 0;
  #kernel: Kernel;
  #random: Random;
  #tallies: Tallies;
  #requests = new Map<string, HostRequest>();
  #held = new Map<string, HostRequest>();
  #finishedIds: string[] = [];
  #tally: RankTally;
  #messenger: StepMessenger;
  #generation = 0;
  #awaitedRanks = new Map<number, { readonly rank: Rank; readonly hear: (output: RankOutput) => void }>();
  #isStepping = false;
  #idleSteps = 0;
  #lastMetadata: ConnectorMetadata | null = null;
  /** The last word of the scheduler before this one, which may still be on its way. */
  #formerMetadata: ConnectorMetadata | null = null;
  #lastId = 0;
  #wished: string[] = [];
  #newestPrefix = PREFIXES;

  constructor(kernel: Kernel, random: Random, tallies: Tallies, instance: Instance, pool: BlockPool) {
    this.#kernel = kernel;
    this.#random = random;
    this.#tallies = tallies;
    this.instance = instance;
    this.pool = pool;
    this.#tally = new RankTally(instance.shape.worldSize);
    this.#messenger = new StepMessenger(kernel, random, instance);
    this.stepIntervalMs = random.pick([20, 60, 150]);
    this.#scheduleStep();
  }

  /** Asks for a request with this prefix at the next step. */
  wish(prefix: string): void {
    this.#wished.push(prefix);
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Ranks run a step, or their answers are on the way. */
  get isInStep(): boolean {
    return this.#isStepping;
  }

  /** A rank is another process now, with other memory, and tells of what the one before had under way. */
  rankReplaced(index: number): void {
    this.#inScheduler(() => {
      this.#tally.replaced(index);
      for (const request of [...this.#requests.values()]) this.#finish(request);
      // Where its own process stood still meanwhile, the step may have been given to the next process already.
      const awaited = this.#awaitedRanks.get(index);
      if (awaited !== undefined && awaited.rank !== this.instance.ranks[index]) awaited.hear(nothing);
      this.#acceptEnded();
    });
  }

  /** A new scheduler knows of no request; blocks are free when no rank has anything under way. */
  schedulerEnded(): void {
    this.#generation += 1;
    this.#formerMetadata = this.#lastMetadata ?? this.#formerMetadata;
    this.#lastMetadata = null;
    // It knows of none, and names its own as those are named that are under way.
    const underWay = [...this.#requests.keys(), ...this.#held.keys()].map((id) => Number(id.slice(1)));
    this.#lastId = underWay.length > 0 ? Math.min(...underWay) - 1 : 0;
    this.#finishedIds = [];
    this.#requests.clear();
    this.#held.clear();
    this.#tally = new RankTally(this.instance.shape.worldSize);
    this.pool.bury();
    this.#awaitedRanks.clear();
    this.#isStepping = false;
  }

  schedulerStarted(): void {
    this.#scheduleStep();
  }

  /** What it waits for, in one line. */
  describe(): string {
    const stages = [...this.#requests.values()].map(({ id, stage }) => `${id} ${stage}`);
    const awaited = [...this.#awaitedRanks.keys()].map((rank) => `the step of rank ${rank}`);
    const held = [...this.#held.keys()].map((id) => `${id} held`);
    return [...stages, ...held, ...awaited, `${this.pool.freeCount} blocks free`].join(', ');
  }

  /** Throws where something has been waited for longer than its budget. */
  checkBudgets(): void {
    if (this.isStopped) return;
    const { unsafeReleaseAfterMs, saveWaitTimeoutMs, settleMs } = this.instance.shape.budgets;
    if (unsafeReleaseAfterMs === null) return;
    // What has ended is told with the next step, and a step may wait for what it preempts. A save may wait before it is sent.
    const limitMs = saveWaitTimeoutMs + 2 * unsafeReleaseAfterMs + settleMs + SLACK_MS + this.excusedMs;
    const oldest = (request: HostRequest) => this.#kernel.loop.nowMs - request.sinceMs > limitMs;
    for (const request of this.#held.values()) {
      if (oldest(request)) throw new Violation(4, `${request.id} finished and its transfers are not reported`);
    }
    for (const request of this.#requests.values()) {
      if (request.stage !== 'loading' && request.stage !== 'preempting') continue;
      if (oldest(request)) throw new Violation(4, `${request.id} is ${request.stage} for longer than its budget`);
    }
  }

  /** Throws where anything is still open, which is told, and its blocks free, after a long time without requests and faults. */
  judgeQuiet(): void {
    if (this.isStopped) return;
    const busy = this.instance.ranks.filter(({ worker }) => !worker.takeReport().idle).map(({ index }) => index);
    if (this.#requests.size + this.#held.size + busy.length === 0 && !this.pool.hasBuried) return;
    const message = `what was begun long ago is not told: ${this.describe()}; not idle: ranks ${busy.join() || 'none'}`;
    throw new Violation(4, message);
  }

  #inScheduler(run: () => void): void {
    const generation = this.#generation;
    this.#kernel.loop.schedule(this.instance.schedulerProcess, 0, 'io', () => {
      if (generation === this.#generation) run();
    });
  }

  #scheduleStep(): void {
    const generation = this.#generation;
    const { schedulerProcess } = this.instance;
    const delayMs = this.#idleSteps > 2 ? IDLE_LOOK_MS : this.stepIntervalMs;
    this.#kernel.loop.schedule(schedulerProcess, delayMs, 'io', () => {
      if (generation !== this.#generation || this.isStopped) return;
      if (!this.#isStepping && this.instance.isComplete) this.#step();
      this.#scheduleStep();
    });
  }

  #step(): void {
    this.#admit();
    // An engine without requests takes no steps; a last one tells the ranks what has finished.
    const isIdle = this.#requests.size + this.#held.size + this.#finishedIds.length === 0 && !this.pool.hasBuried;
    this.#idleSteps = isIdle ? this.#idleSteps + 1 : 0;
    if (this.#idleSteps > 2) return;
    for (const request of [...this.#requests.values()]) this.#advance(request);
    this.#execute();
  }

  #admit(): void {
    const { worldSize } = this.instance.shape;
    if (this.#requests.size < REQUESTS_MAX && this.#random.chance(this.arrivalChance)) {
      if (this.newPrefixChance > 0 && this.#random.chance(this.newPrefixChance)) this.#newestPrefix += 1;
      this.#add(this.#drawPrefix(), this.#random.int(1, 5));
    }
    for (const prefix of this.#wished.splice(0)) this.#add(prefix, 1 + (worldSize % 2));
  }

  #add(prefix: string, length: number): void {
    const id = `r${++this.#lastId}`;
    const hashes = Array.from({ length }, (_, i) => chainHash(prefix, i));
    const fresh = {
      stage: 'waiting',
      blocks: [],
      hit: 0,
      stepsLeft: 0,
      isSaved: false,
      hasFailed: false,
      sinceMs: 0,
    } as const;
    this.#requests.set(id, { ...fresh, id, hashes });
    if (prefix.startsWith('fresh')) this.#prefixOf.set(id, prefix);
  }

  #drawPrefix(): string {
    const number = this.#newestPrefix - this.#random.int(0, PREFIXES - 1);
    return `${this.instance.shape.namespace}/${number}`;
  }

  #prefixOf = new Map<string, string>();

  #advance(request: HostRequest): void {
    const isWished = this.#prefixOf.has(request.id);
    if (!isWished && this.#random.chance(0.02)) this.#finish(request);
    else if (request.stage === 'waiting') this.#ask(request);
    else if (request.stage === 'ready') this.#allocate(request);
    else if (request.stage === 'running') this.#run(request);
  }

  #ask(request: HostRequest): void {
    const { scheduler, shape } = this.instance;
    request.stage = 'asking';
    const startMs = this.#kernel.loop.nowMs;
    const excusedBeforeMs = this.excusedMs;
    let isSettled = false;
    const wasUsable = scheduler.status.state === 'connected';
    const limitBefore = this.#heldLimit;
    this.#kernel.loop.schedule(this.instance.schedulerProcess, shape.budgets.queryTimeoutMs + SLACK_MS, 'io', () => {
      if (isSettled || this.excusedMs > excusedBeforeMs) return;
      this.#kernel.report(new Violation(2, `the query of ${request.id} is not answered`));
    });
    const blockHashes = request.hashes.map((hash) => Uint8Array.from(hash));
    const outcome = scheduler.query({ requestId: request.id, blockHashes });
    this.#reuse(blockHashes);
    void outcome.then((outcome) => {
      isSettled = true;
      this.#tallies.queries += 1;
      if (!wasUsable && (outcome.kind !== 'miss' || this.#kernel.loop.nowMs !== startMs)) {
        this.#kernel.report(new Violation(1, `a query outside connected was answered ${outcome.kind}`));
      }
      if (limitBefore !== null && outcome.kind !== 'miss') {
        this.#kernel.report(new Violation('H', `a query was answered ${outcome.kind} while ${limitBefore}`));
      }
      if (this.#requests.get(request.id) !== request || request.stage !== 'asking') return;
      if (request.hasFailed && outcome.kind === 'hit') {
        this.#kernel.report(new Violation('T', `${request.id} is promised a hit again right after its load failed`));
      }
      request.hasFailed = false;
      request.hit = outcome.kind === 'hit' ? outcome.blocks : 0;
      request.stage = outcome.kind === 'loading' ? 'waiting' : 'ready';
      // A request that is preempted meanwhile asks again with another prefix.
      if (outcome.kind === 'loading' && this.#random.chance(0.3)) this.#changePrefix(request);
    });
  }

  #changePrefix(request: HostRequest): void {
    if (this.#prefixOf.has(request.id)) return;
    const prefix = this.#drawPrefix();
    request.hashes = request.hashes.map((_, i) => chainHash(prefix, i));
  }

  #allocate(request: HostRequest): void {
    const blocks = this.pool.take(request.id, request.hashes);
    if (blocks === null) return;
    request.blocks = blocks;
    const targets = blocks.slice(0, request.hit);
    if (request.hit > 0) {
      this.pool.lendToLoad(targets);
      if (this.instance.scheduler.scheduleLoad(request.id, targets)) {
        request.stage = 'loading';
        request.sinceMs = this.#kernel.loop.nowMs;
        this.#tallies.loads += 1;
        return;
      }
      this.pool.loadEnded(targets);
      request.hit = 0;
    }
    this.#startRunning(request);
  }

  /** The memory of hashes that were handed in: others take their place at once. */
  #reuse(hashes: readonly Uint8Array[]): void {
    const prefix = this.#drawPrefix();
    for (const [i, hash] of hashes.entries()) hash.set(chainHash(prefix, i));
  }

  #startRunning(request: HostRequest): void {
    request.stage = 'running';
    request.stepsLeft = this.#random.int(1, 4);
    request.isSaved = false;
  }

  #run(request: HostRequest): void {
    const { scheduler } = this.instance;
    if (!request.isSaved) {
      request.isSaved = true;
      const blockIds = request.blocks.slice(request.hit);
      const blockHashes = request.hashes.slice(request.hit).map((hash) => Uint8Array.from(hash));
      this.pool.compute(blockIds, blockHashes);
      if (blockIds.length > 0) {
        const isScheduled = scheduler.scheduleSave({ requestId: request.id, blockIds, blockHashes });
        if (isScheduled) this.#checkAllServe();
        if (isScheduled) this.#checkHeld();
        if (isScheduled) this.pool.lendToSave(blockIds);
        if (isScheduled) this.#tallies.saves += 1;
        this.#reuse(blockHashes);
      }
      return;
    }
    request.stepsLeft -= 1;
    if (request.stepsLeft <= 0) this.#finish(request);
    else if (this.#random.chance(0.1)) this.#preempt(request);
  }

  /** A save is for all ranks or for none. */
  #checkAllServe(): void {
    const { ranks, scheduler } = this.instance;
    const absent = ranks.find((rank) => hearingOf(scheduler).absentSinceMs(rank) !== null);
    if (absent === undefined) return;
    this.#kernel.report(new Violation(6, `a save is scheduled while rank ${absent.index} does not serve`));
  }

  /** What the scheduler has heard of a rank that holds as much as may be. */
  get #heldLimit(): string | null {
    const { ranks, scheduler } = this.instance;
    for (const rank of ranks) {
      const held = hearingOf(scheduler).heldAtLimit(rank);
      if (held !== null) return `rank ${rank.index} holds ${held.blocks} of ${held.ofBlocks} blocks`;
    }
    return null;
  }

  #checkHeld(): void {
    const limit = this.#heldLimit;
    if (limit !== null) this.#kernel.report(new Violation('H', `a save is scheduled while ${limit}`));
  }

  #preempt(request: HostRequest): void {
    request.stage = 'preempting';
    request.sinceMs = this.#kernel.loop.nowMs;
  }

  #preempted(request: HostRequest): void {
    if (this.#requests.get(request.id) !== request) return;
    this.pool.give(request.blocks);
    request.blocks = [];
    request.hit = 0;
    request.stage = 'waiting';
  }

  #finish(request: HostRequest): void {
    this.#requests.delete(request.id);
    this.#prefixOf.delete(request.id);
    this.#finishedIds.push(request.id);
    request.sinceMs = this.#kernel.loop.nowMs;
    if (this.instance.scheduler.requestFinished(request.id)) this.#held.set(request.id, request);
    else this.pool.give(request.blocks);
  }

  /** Runs one step on all ranks and takes in what they say. */
  #execute(): void {
    const { ranks, scheduler, shape } = this.instance;
    const metadata = scheduler.buildMetadata();
    const repeated = this.#random.chance(0.1) ? this.#random.pick([this.#lastMetadata, this.#formerMetadata]) : null;
    this.#lastMetadata = metadata;
    const finishedIds = this.#finishedIds.splice(0);
    const preempted = [...this.#requests.values()].filter(({ stage }) => stage === 'preempting');
    const preemptedIds = preempted.map(({ id }) => id);
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation;
    const outputs = new Map<number, RankOutput>();
    this.#isStepping = true;
    for (const rank of ranks) {
      const hear = (output: RankOutput) => {
        if (this.#awaitedRanks.get(rank.index)?.hear !== hear) return;
        this.#awaitedRanks.delete(rank.index);
        outputs.set(rank.index, output);
        for (const requestId of output.failedLoads) this.#tally.failed.add(requestId);
        this.#tell(rank.index, output);
        if (outputs.size < shape.worldSize) return;
        this.#isStepping = false;
        for (const request of preempted) this.#preempted(request);
        if ([...outputs.values()].every(({ isIdle }) => isIdle)) this.pool.giveBuried();
        this.#acceptEnded();
      };
      this.#awaitedRanks.set(rank.index, { rank, hear });
      this.#messenger.order(rank, { metadata, repeated, finishedIds, preemptedIds, isCurrent, hear });
    }
  }

  #tell(index: number, { loaded, saved }: RankOutput): void {
    for (const requestId of loaded) this.#tally.tell('loaded', requestId, index);
    for (const requestId of saved) this.#tally.tell('saved', requestId, index);
  }

  #acceptEnded(): void {
    const { loaded, saved } = this.#tally.take();
    if (loaded.length + saved.length === 0) return;
    const failedLoads = loaded.filter((requestId) => this.#tally.failed.delete(requestId));
    const finished = this.instance.scheduler.acceptFinished({ loaded, saved, failedLoads });
    const failed = new Set(failedLoads);
    for (const requestId of finished.loaded) {
      const request = this.#requests.get(requestId);
      if (request?.stage === 'loading') this.#loaded(request, failed.has(requestId));
      else this.#release(requestId);
    }
    for (const requestId of finished.saved) this.#release(requestId);
  }

  #loaded(request: HostRequest, hasFailed: boolean): void {
    const targets = request.blocks.slice(0, request.hit);
    this.pool.loadEnded(targets);
    if (hasFailed) {
      this.#tallies.failedLoads += 1;
      request.hasFailed = true;
      request.hit = 0;
    } else {
      this.pool.verify(targets, request.hashes);
      const prefix = this.#prefixOf.get(request.id);
      if (prefix !== undefined) this.verifiedPrefixes.add(prefix);
    }
    this.#startRunning(request);
  }

  #release(requestId: string): void {
    const request = this.#held.get(requestId);
    if (request === undefined) throw new Violation(4, `${requestId} is told as ended and nobody waits for it`);
    this.#held.delete(requestId);
    this.pool.give(request.blocks);
  }
}
