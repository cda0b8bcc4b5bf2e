/** The processes of a soak: the engine behind its faulty network, and the scheduler host with its ranks. */
import { within } from '../../src/demo/deadline.ts';
import { type Child, forkHost } from '../../src/demo/hosts/ipc.ts';
import type { FromScheduler, ToScheduler } from '../../src/demo/hosts/messages.ts';
import { identifyProcess, type ProcessIdentity } from '../../src/demo/leaks.ts';
import { RunError } from '../../src/demo/run-error.ts';
import type { RunLog } from '../../src/demo/run-log.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import type { EngineHostOptions, FromEngineHost, ToEngineHost } from './engine-host.ts';
import { until } from './until.ts';

/** Bounds on starting and stopping, in milliseconds; all far above what a busy machine needs. */
const LISTEN_TIMEOUT_MS = 30_000;
const DRAIN_TIMEOUT_MS = 20_000;
const EXIT_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 30_000;

/** Without their extension. */
const ENGINE_MODULE = new URL('./engine-host', import.meta.url);
const SCHEDULER_MODULE = new URL('./scheduler-host', import.meta.url);

type Start = Extract<ToScheduler, { readonly type: 'start' }>;
type Request = Extract<ToScheduler, { readonly type: 'request' }>;

interface Engine {
  readonly child: Child<FromEngineHost, ToEngineHost>;
  readonly admin: string;
}

interface Scheduler {
  readonly child: Child<FromScheduler, ToScheduler>;
  readonly stopped: Promise<string | null>;
}

export class SoakProcesses {
  /** Everything that ever ran in this run. */
  readonly identities: ProcessIdentity[] = [];
  /** In the order of the ranks. */
  rankPids: readonly number[] = [];
  readonly #log: RunLog;
  readonly #engineOptions: EngineHostOptions;
  readonly #start: Start;
  #engine: Engine | null = null;
  /** The process of the engine that was started last, also while it ends: what hinders its end must be lifted. */
  #network: Engine['child'] | null = null;
  #scheduler: Scheduler | null = null;
  /** Requests that came while there was no scheduler. */
  #waiting: Request[] = [];

  constructor(log: RunLog, engineOptions: EngineHostOptions, start: Start) {
    this.#log = log;
    this.#engineOptions = engineOptions;
    this.#start = start;
  }

  get enginePid(): number | null {
    return this.#engine?.child.pid ?? null;
  }

  get schedulerPid(): number | null {
    return this.#scheduler?.child.pid ?? null;
  }

  /** `http://host:port` of the engine's admin interface; `null` while there is no engine. */
  get admin(): string | null {
    return this.#engine?.admin ?? null;
  }

  /** Every living process by its name. */
  get pids(): Readonly<Record<string, number>> {
    const ranks = this.rankPids.map((pid, rank) => [`rank ${rank}`, pid] as const);
    const named = [['engine', this.enginePid] as const, ['scheduler', this.schedulerPid] as const, ...ranks];
    return Object.fromEntries(named.flatMap(([name, pid]) => (pid === null ? [] : [[name, pid]])));
  }

  /** Starts an engine and waits until it listens. */
  async startEngine(): Promise<void> {
    const child = forkHost<FromEngineHost, ToEngineHost>(ENGINE_MODULE, { ownGroup: true });
    this.#remember(child.pid);
    this.#network = child;
    const listening = new Promise<FromEngineHost | null>((resolve) => {
      child.onMessage(resolve);
      void child.exited.then(() => resolve(null));
    });
    child.send({ type: 'start', options: this.#engineOptions });
    const said = await this.#log.orFailure(within(LISTEN_TIMEOUT_MS, listening, null));
    if (said === null) throw new RunError(`the engine did not listen within ${LISTEN_TIMEOUT_MS} ms`);
    const engine = { child, admin: said.admin };
    this.#engine = engine;
    this.#log.record({ type: 'engine.listening', pid: said.pid, atMs: said.atMs });
    void child.exited.then((how) => {
      if (this.#engine === engine) this.#log.fail(new RunError(`the engine ended by itself: ${how}`));
    });
  }

  /** Tells the network in front of the engine; it ends with the engine's process. */
  tellNetwork(message: Exclude<ToEngineHost, { readonly type: 'start' }>): void {
    this.#network?.send(message);
  }

  /** Waits until the engine's process has ended, which `end` brings about. */
  async endEngine(kind: 'kill' | 'graceful', end: (pid: number) => unknown): Promise<void> {
    const engine = this.#engine;
    if (engine === null) throw new RunError('there is no engine to stop');
    this.#engine = null;
    this.#log.record({ type: 'engine.stopped', atMs: wallTimeMs(), kind, outageMs: 0 });
    await end(engine.child.pid);
    const how = await within(DRAIN_TIMEOUT_MS, engine.child.exited, null);
    if (how !== null) return;
    engine.child.process.kill('SIGKILL');
    await engine.child.exited;
    throw new RunError(`the engine did not end within ${DRAIN_TIMEOUT_MS} ms`);
  }

  startScheduler(): void {
    const child = forkHost<FromScheduler, ToScheduler>(SCHEDULER_MODULE, { ownGroup: true });
    this.#remember(child.pid);
    const stopped = Promise.withResolvers<string | null>();
    this.#scheduler = { child, stopped: stopped.promise };
    const isCurrent = () => this.#scheduler?.child === child;
    void child.exited.then((how) => {
      stopped.resolve(`the scheduler host ended by itself: ${how}`);
      if (isCurrent()) this.#log.fail(new RunError(`the scheduler host ended by itself: ${how}`));
    });
    child.onMessage((message) => {
      if (!isCurrent()) return;
      if (message.type === 'happened') this.#log.record(message.event);
      else if (message.type === 'started') this.#meetRanks(message.pids);
      else if (message.type === 'failed') this.#log.fail(new RunError(message.reason));
      else if (message.type === 'stopped') stopped.resolve(message.complaint);
    });
    child.send(this.#start);
    for (const request of this.#waiting.splice(0)) child.send(request);
  }

  send(request: Request): void {
    if (this.#scheduler === null) this.#waiting.push(request);
    else this.#scheduler.child.send(request);
  }

  /** SIGKILL for the scheduler; its ranks end with it. */
  async killScheduler(): Promise<void> {
    const scheduler = this.#scheduler;
    if (scheduler === null) throw new RunError('there is no scheduler to kill');
    const ranks = this.rankPids;
    this.#scheduler = null;
    this.rankPids = [];
    scheduler.child.process.kill('SIGKILL');
    await scheduler.child.exited;
    for (const machine of ['scheduler', ...ranks.map((_, rank) => `rank ${rank}`)]) this.#recordKilled(machine);
    const areGone = () => ranks.every((pid) => identifyProcess(pid) === null);
    await until('the ranks to end with their scheduler', EXIT_TIMEOUT_MS, areGone);
  }

  /** SIGKILL for a rank; the scheduler host starts another in its place. */
  async killRank(rank: number): Promise<void> {
    const pid = this.rankPids[rank];
    if (pid === undefined) throw new RunError(`there is no rank ${rank} to kill`);
    process.kill(pid, 'SIGKILL');
    const isReplaced = () => (this.rankPids[rank] ?? pid) !== pid;
    await this.#log.orFailure(until(`rank ${rank} to be replaced`, EXIT_TIMEOUT_MS, isReplaced));
    this.#recordKilled(`rank ${rank}`);
  }

  /** Ends everything in order, and by force what does not end. Settles with what went wrong, or `null`. */
  async end(): Promise<string | null> {
    const complaints: string[] = [];
    const scheduler = this.#scheduler;
    if (scheduler !== null) {
      scheduler.child.send({ type: 'stop' });
      const late = `the scheduler host did not stop within ${STOP_TIMEOUT_MS} ms`;
      const complaint = await within(STOP_TIMEOUT_MS, scheduler.stopped, late);
      if (complaint !== null) complaints.push(complaint);
      this.#scheduler = null;
      if (complaint === late) scheduler.child.process.kill('SIGKILL');
      else if (scheduler.child.process.connected) scheduler.child.process.disconnect();
      await scheduler.child.exited;
    }
    if (this.#engine !== null) {
      await this.endEngine('graceful', (pid) => process.kill(pid, 'SIGINT')).catch((error: Error) =>
        complaints.push(error.message),
      );
    }
    return complaints.join('; ') || null;
  }

  #recordKilled(machine: string): void {
    this.#log.record({ type: 'status.changed', atMs: wallTimeMs(), machine, path: 'killed', fault: null });
  }

  #meetRanks(pids: readonly number[]): void {
    this.rankPids = pids;
    for (const pid of pids) this.#remember(pid);
  }

  #remember(pid: number): void {
    const identity = identifyProcess(pid);
    if (identity !== null) this.identities.push(identity);
  }
}
