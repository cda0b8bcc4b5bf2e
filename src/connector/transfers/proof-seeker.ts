import { type Budgets, type Epoch, isSameEpoch } from '../../../machines/index.ts';
import type { RegistrationNote } from '../../actors/register.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { Connection, ServerLink } from '../../rpc/connection.ts';
import { copyThreads, threadsLeft, ticksNow } from '../../rpc/holder/memory-holder.ts';
import { type CopyThread, isStartedIn, type RegisterTime } from '../../rpc/holder/register-time.ts';
import { takeTurn } from '../../rpc/holder/registration-turn.ts';
import type { RankService } from '../worker/rank-service.ts';

/** Transfers of one registration that only proof can end. */
export interface Doubts {
  readonly registeredIn: Epoch;
  /** Of each kind those that the server's queues are not known to have moved past. */
  readonly saves: number;
  /** The server took them: their records will say when they are over. */
  readonly acceptedLoads: number;
  /** Perhaps the server never heard of them. */
  readonly otherLoads: number;
}

/**
 * - `none`: nothing is in doubt
 * - `provable`: something is, and the end of the registration that it belongs to can be seen
 * - `held`: something is, and this rank cannot prove its end now
 */
export type DoubtOfRank = 'none' | 'provable' | 'held';

export interface ProofSeekerOptions {
  readonly budgets: Budgets;
  readonly deviceId: number;
  readonly connection: Connection;
  readonly doubts: () => readonly Doubts[];
  /** Whether a transfer of that registration is under way, in doubt or not: one whose answer never comes is in doubt later. */
  readonly hasOpen: (registeredIn: Epoch) => boolean;
  /** `null`: not in service. */
  readonly service: () => RankService | null;
  /** The epoch of the registration that the server has, as far as is known. */
  readonly registeredIn: () => Epoch | null;
  /** Goes through the server's queue of saves behind all that is in it; `false` where the answer is no proof of that, or the signal came first. */
  readonly followSaves: (server: ServerLink, registeredIn: Epoch, signal: AbortSignal) => Promise<boolean>;
  /** What belongs to that registration and is in doubt is over. */
  readonly prove: (registeredIn: Epoch) => void;
  /** The queues have moved past what is in doubt now. */
  readonly passed: (registeredIn: Epoch) => void;
  /** The end of a registration cannot be told from that of so many others that were made with it. */
  readonly onDelay: (pairs: number) => void;
  readonly onChange: () => void;
}

/** A registration as the server made it: whoever it started to copy for us was started in that time. */
interface Registration extends RegisterTime {
  readonly epoch: Epoch;
  /** By process, once seen: ours, and whoever else's were started in that time. */
  seen: readonly { readonly pid: number; readonly threads: readonly CopyThread[] }[] | null;
  /** The search for them, once it has begun. */
  search: Promise<void> | null;
  isOver: boolean;
  isDelayTold: boolean;
}

/** How far apart two windows have to be: a thread is sought a tick before and after its own. */
const TICKS_APART = 3;

/** A thread that was started may not have run yet and has no name until then. The wait doubles from look to look. */
const LOOKS_FOR_THREADS = 9;

/** Polled so much more slowly while the registration is in service: nobody has asked for its end. */
const IN_SERVICE_FACTOR = 20;

/**
 * Proves the end of transfers whose answer was lost. The server's copy threads of a registration end when the registration is
 * gone and its last copy and handler are over, so: it lets the queues pass what is in doubt, because an Unregister under a
 * running copy endangers everybody's, asks for a new generation, and sees the threads of the old one go.
 */
export class ProofSeeker {
  #options: ProofSeekerOptions;
  #registrations: Registration[] = [];
  #step: 'idle' | 'asking' | 'resting' = 'idle';
  #isPassing = false;
  #isPolling = false;
  #pollFactor = 1;
  /** Of the service that the question was asked in. */
  #askedIn: Epoch | null = null;
  #restMs = 0;
  #cancelRest = () => {};
  #cancelPoll: (() => void) | null = null;
  #isReviewDue = false;
  /** Each ends one. */
  #pauses = new Set<() => void>();
  #isDisposed = false;

  constructor(options: ProofSeekerOptions) {
    this.#options = options;
  }

  /** A new generation of all ranks would prove something. */
  asksIn(epoch: Epoch | null): boolean {
    return this.#step === 'asking' && epoch !== null && this.#isAskedIn(epoch);
  }

  get doubt(): DoubtOfRank {
    const doubts = this.#options.doubts();
    if (doubts.length === 0) return 'none';
    return doubts.some(({ registeredIn }) => this.#isProvable(registeredIn)) ? 'provable' : 'held';
  }

  /** Call it before a Register is sent, and send it when this has resolved. */
  async register(epoch: Epoch, signal: AbortSignal): Promise<RegistrationNote> {
    const { budgets, connection, deviceId } = this.#options;
    const port = connection.server.link.addresses?.remotePort ?? 0;
    const turn = await takeTurn({ port, deviceId }, budgets, signal);
    const sinceTicks = ticksNow();
    return {
      over: () => {
        if (turn !== null) void this.#endTurn(turn);
      },
      answered: () => {
        const untilTicks = ticksNow();
        this.#registrations.push({
          epoch,
          sinceTicks,
          untilTicks,
          seen: null,
          search: null,
          isOver: false,
          isDelayTold: false,
        });
        this.review();
      },
      threadsFound: async () => {
        const newest = this.#registrations.at(-1);
        if (newest !== undefined && isSameEpoch(newest.epoch, epoch)) await this.#search(newest);
      },
    };
  }

  /** Something changed: what is in doubt, the link, or the service. */
  review(): void {
    if (this.#isReviewDue || this.#isDisposed) return;
    this.#isReviewDue = true;
    queueMicrotask(() => {
      this.#isReviewDue = false;
      if (!this.#isDisposed) this.#review();
    });
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#cancelRest();
    this.#cancelPoll?.();
    for (const end of this.#pauses) end();
  }

  /** Once threads that are started from now on cannot be taken for those of this window. */
  async #endTurn(turn: Disposable): Promise<void> {
    const untilTicks = ticksNow();
    while (!this.#isDisposed && ticksNow() < untilTicks + TICKS_APART) {
      await this.#pause(this.#options.budgets.registrationTurnPollMs);
    }
    turn[Symbol.dispose]();
  }

  #review(): void {
    const { doubts, hasOpen, registeredIn, onChange } = this.#options;
    const before = [this.#step, this.doubt];
    const current = registeredIn();
    const inDoubt = doubts();
    // The newest is about to become the current one.
    const newest = this.#registrations.at(-1);
    this.#registrations = this.#registrations.filter((one) => one === newest || hasOpen(one.epoch));
    if (newest !== undefined) void this.#search(newest);
    this.#proveAgain(inDoubt);
    const ofCurrent = inDoubt.find((one) => current !== null && isSameEpoch(one.registeredIn, current));
    if (ofCurrent === undefined) this.#forget();
    else this.#pursue(ofCurrent);
    this.#pollSoon();
    if (before[0] !== this.#step || before[1] !== this.doubt) onChange();
  }

  /** What was under way when its registration was over, and whose answer has not come since. */
  #proveAgain(inDoubt: readonly Doubts[]): void {
    for (const { epoch, isOver } of this.#registrations) {
      if (isOver && inDoubt.some((one) => isSameEpoch(one.registeredIn, epoch))) this.#options.prove(epoch);
    }
  }

  #forget(): void {
    this.#cancelRest();
    this.#restMs = 0;
    this.#step = 'idle';
  }

  #pursue({ registeredIn, saves, acceptedLoads, otherLoads }: Doubts): void {
    const { connection, service } = this.#options;
    const serving = service();
    // The generation that was asked for was none: the ranks could not be quiet in time.
    if (this.#step === 'asking' && serving !== null && !this.#isAskedIn(serving.epoch)) this.#rest();
    if (this.#step === 'resting') return;
    if (saves + acceptedLoads + otherLoads > 0) {
      if (!this.#isPassing && connection.isUp && !connection.isReadingOn)
        void this.#pass(registeredIn, connection.server);
    } else if (this.#step === 'idle' && serving !== null && this.#isProvable(registeredIn)) {
      this.#step = 'asking';
      this.#askedIn = serving.epoch;
    }
  }

  #isAskedIn(epoch: Epoch): boolean {
    return this.#askedIn !== null && isSameEpoch(this.#askedIn, epoch);
  }

  async #pass(registeredIn: Epoch, server: ServerLink): Promise<void> {
    const { connection, passed } = this.#options;
    this.#isPassing = true;
    const hasPassed = await this.#movePast(registeredIn, server).catch(() => false);
    this.#isPassing = false;
    if (this.#isDisposed) return;
    if (hasPassed) passed(registeredIn);
    else if (connection.isUp && connection.server === server) this.#rest();
    this.review();
  }

  /** Whether the server's queues have moved past all that was in doubt when this began. */
  async #movePast(registeredIn: Epoch, server: ServerLink): Promise<boolean> {
    const { budgets, doubts, followSaves } = this.#options;
    const ofThis = () => doubts().find((one) => isSameEpoch(one.registeredIn, registeredIn));
    const late = new AbortController();
    const cancel = ioFirstTimer(budgets.quiesceTimeoutMs, () => late.abort());
    try {
      const { saves = 0 } = ofThis() ?? {};
      const isBehindSaves = saves === 0 || (await followSaves(server, registeredIn, late.signal));
      if (!isBehindSaves) return false;
      while (hasLoads(ofThis()) && !late.signal.aborted && !this.#isDisposed) {
        await this.#pause(budgets.loadPollIntervalMs);
      }
      // One that nobody has answered, and whose record says nothing for so long, most likely never arrived.
      return (ofThis()?.acceptedLoads ?? 0) === 0;
    } finally {
      cancel();
    }
  }

  #rest(): void {
    const { budgets } = this.#options;
    this.#step = 'resting';
    this.#restMs = Math.min(this.#restMs * 2 || budgets.proofRetryFirstMs, budgets.proofRetryMaxMs);
    this.#cancelRest();
    this.#cancelRest = ioFirstTimer(this.#restMs, () => {
      if (this.#step === 'resting') this.#step = 'idle';
      this.review();
    });
  }

  #isProvable(epoch: Epoch): boolean {
    return this.#registrations.some((one) => isSameEpoch(one.epoch, epoch) && one.seen !== null && !one.isOver);
  }

  /** The processes that hold our memory are those of the newest registration. */
  async #search(registration: Registration): Promise<void> {
    const { holders } = this.#options.connection;
    if (registration !== this.#registrations.at(-1) || holders.length === 0) return;
    registration.search ??= this.#lookForThreads(registration, holders).catch(() => {});
    await registration.search;
  }

  async #lookForThreads(registration: Registration, holders: readonly number[]): Promise<void> {
    const { budgets, deviceId, onChange } = this.#options;
    let waitMs = budgets.proofPollIntervalMs;
    for (let look = 1; look <= LOOKS_FOR_THREADS; look += 1) {
      const seen = await Promise.all(
        holders.map(async (pid) => {
          const threads = (await copyThreads(pid, deviceId)).filter((thread) => isStartedIn(registration, thread));
          return { pid, threads };
        }),
      );
      const withThreads = seen.filter(({ threads }) => threads.length > 0);
      if (withThreads.length > 0 && withThreads.every(({ threads }) => isComplete(threads))) {
        registration.seen = withThreads;
        this.review();
        onChange();
        return;
      }
      await this.#pause(waitMs);
      if (this.#isDisposed || registration !== this.#registrations.at(-1)) return;
      waitMs *= 2;
    }
  }

  /** At most until this is disposed of. */
  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.#pauses.delete(end);
        cancel();
        resolve();
      };
      const cancel = ioFirstTimer(delayMs, end);
      this.#pauses.add(end);
    });
  }

  /** Another registration is in its place, and what belongs to the old one is still not proved to be over. */
  #tellDelay(registration: Registration): void {
    const { registeredIn, onDelay } = this.#options;
    const current = registeredIn();
    if (current === null || isSameEpoch(current, registration.epoch)) return;
    if (registration.isDelayTold || pairsIn(registration) < 2) return;
    registration.isDelayTold = true;
    onDelay(pairsIn(registration));
  }

  #pollSoon(): void {
    const { budgets, doubts, service } = this.#options;
    const factor = service() === null ? 1 : IN_SERVICE_FACTOR;
    if (this.#isPolling || (this.#cancelPoll !== null && this.#pollFactor <= factor)) return;
    this.#cancelPoll?.();
    this.#cancelPoll = null;
    const inDoubt = doubts();
    const watched = this.#registrations.filter(
      ({ epoch, seen, isOver }) =>
        seen !== null && !isOver && inDoubt.some(({ registeredIn }) => isSameEpoch(registeredIn, epoch)),
    );
    if (watched.length === 0) return;
    this.#pollFactor = factor;
    this.#cancelPoll = ioFirstTimer(budgets.proofPollIntervalMs * factor, () => void this.#poll(watched));
  }

  async #poll(watched: readonly Registration[]): Promise<void> {
    this.#isPolling = true;
    for (const registration of watched) {
      const looks = (registration.seen ?? []).map(({ pid, threads }) => threadsLeft(pid, threads));
      const left = await Promise.all(looks).catch(() => ['some']);
      if (left.includes('some')) this.#tellDelay(registration);
      if (this.#isDisposed || left.some((one) => one !== 'none')) continue;
      registration.isOver = true;
      this.#options.prove(registration.epoch);
      this.#options.onChange();
    }
    this.#isPolling = false;
    this.#cancelPoll = null;
    if (!this.#isDisposed) this.review();
  }
}

/** Those of other ranks among them. */
function pairsIn({ seen }: Registration): number {
  return Math.max(0, ...(seen ?? []).map(({ threads }) => threads.length / 2));
}

/** They come in pairs: the end of one alone says nothing of the copies of the other. */
function isComplete(threads: readonly CopyThread[]): boolean {
  const saving = threads.filter(({ copies }) => copies === 'save').length;
  return saving > 0 && saving * 2 === threads.length;
}

function hasLoads(doubts: Doubts | undefined): boolean {
  return doubts !== undefined && doubts.acceptedLoads + doubts.otherLoads > 0;
}
