/** The processes of a soak: the engine behind its faulty network, and the scheduler host with its ranks. */
import { within } from '../../src/demo/deadline.ts';
import { type Child, forkHost } from '../../src/demo/hosts/ipc.ts';
import type { FromScheduler, ToScheduler } from '../../src/demo/hosts/messages.ts';
import { identifyProcess, type ProcessIdentity } from '../../src/demo/leaks.ts';
import { RunError } from '../../src/demo/run-error.ts';
import type { RunLog } from '../../src/demo/run-log.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import { removeShmObjectsOfNamespace } from '../native-bindings/shm-objects.ts';
import { BLIND_LAUNCHER } from '../support/netns.ts';
import type { FromEngineHost, ToEngineHost } from './engine-host.ts';
import type { ToNetwork } from './network.ts';
import type { FromNetworkHost, ToNetworkHost } from './network-host.ts';
import { type PidNamespace, pidNamespaceBelow } from './pid-namespace.ts';
import { until } from './until.ts';

/** Bounds on starting and stopping, in milliseconds; all far above what a busy machine needs. */
const LISTEN_TIMEOUT_MS = 30_000;
const DRAIN_TIMEOUT_MS = 20_000;
const EXIT_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 30_000;

/** Without their extension. */
const ENGINE_MODULE = new URL('./engine-host', import.meta.url);
const NETWORK_MODULE = new URL('./network-host', import.meta.url);
const SCHEDULER_MODULE = new URL('./scheduler-host', import.meta.url);

type Start = Extract<ToScheduler, { readonly type: 'start' }>;
type Request = Extract<ToScheduler, { readonly type: 'request' }>;

interface Engine {
  readonly child: Child<FromEngineHost, ToEngineHost>;
  readonly admin: string;
  readonly port: number;
}

type Proxy = Child<FromNetworkHost, ToNetworkHost>;

interface Scheduler {
  readonly child: Child<FromScheduler, ToScheduler>;
  /** Its own, in which it sees no server; `null`: that of this process. */
  readonly namespace: PidNamespace | null;
  readonly stopped: Promise<string | null>;
}

export class SoakProcesses {
  /** Everything that ever ran in this run. */
  readonly identities: ProcessIdentity[] = [];
  /** In the order of the ranks. */
  rankPids: readonly number[] = [];
  /** Whether the connector's processes see no process of a server, those that were started last. */
  isBlind = false;
  readonly #log: RunLog;
  readonly #served: { readonly port: number; readonly poolSizeBytes: number };
  readonly #start: Start;
  #engine: Engine | null = null;
  /** Where the network of the engine is that was started last, also while it ends: what hinders its end must be lifted. */
  #network: { send(message: ToNetwork): void } | null = null;
  #proxy: Proxy | null = null;
  #scheduler: Scheduler | null = null;
  /** Requests that came while there was no scheduler. */
  #waiting: Request[] = [];

  constructor(log: RunLog, served: { readonly port: number; readonly poolSizeBytes: number }, start: Start) {
    this.#log = log;
    this.#served = served;
    this.#start = start;
  }

  get enginePid(): number | null {
    return this.#engine?.child.pid ?? null;
  }

  get schedulerPid(): number | null {
    const scheduler = this.#scheduler;
    if (scheduler === null) return null;
    return scheduler.namespace === null ? scheduler.child.pid : (scheduler.namespace.pidsHere([1])[0] ?? null);
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

  /** Starts an engine and waits until it listens, with a proxy between or not. Default: not. */
  async startEngine({ isBehindProxy = false } = {}): Promise<void> {
    const child = forkHost<FromEngineHost, ToEngineHost>(ENGINE_MODULE, { ownGroup: true });
    this.#remember(child.pid);
    this.#network = child;
    const listening = new Promise<FromEngineHost | null>((resolve) => {
      child.onMessage(resolve);
      void child.exited.then(() => resolve(null));
    });
    const { port, poolSizeBytes } = this.#served;
    child.send({ type: 'start', options: { port: isBehindProxy ? null : port, poolSizeBytes } });
    const said = await this.#log.orFailure(within(LISTEN_TIMEOUT_MS, listening, null));
    if (said === null) throw new RunError(`the engine did not listen within ${LISTEN_TIMEOUT_MS} ms`);
    const engine = { child, admin: said.admin, port: said.enginePort };
    this.#engine = engine;
    if (isBehindProxy) await this.startProxy();
    this.#log.record({ type: 'engine.listening', pid: said.pid, atMs: said.atMs });
    void child.exited.then((how) => {
      if (this.#engine === engine) this.#log.fail(new RunError(`the engine ended by itself: ${how}`));
    });
  }

  /** A proxy between the connector and the engine, which has no network of its own then. */
  async startProxy(): Promise<void> {
    if (this.#engine === null) throw new RunError('there is no engine to stand before');
    const proxy: Proxy = forkHost(NETWORK_MODULE, { ownGroup: true });
    this.#remember(proxy.pid);
    this.#proxy = proxy;
    this.#network = proxy;
    const listening = new Promise<boolean>((resolve) => {
      proxy.onMessage(() => resolve(true));
      void proxy.exited.then(() => resolve(false));
    });
    proxy.send({ type: 'start', port: this.#served.port, targetPort: this.#engine.port });
    const isListening = await this.#log.orFailure(within(LISTEN_TIMEOUT_MS, listening, false));
    if (!isListening) throw new RunError(`the proxy did not listen within ${LISTEN_TIMEOUT_MS} ms`);
  }

  /** SIGKILL for the proxy, if there is one; the engine lives on. */
  async killProxy(): Promise<void> {
    const proxy = this.#proxy;
    this.#proxy = null;
    proxy?.process.kill('SIGKILL');
    await proxy?.exited;
  }

  /** Tells the network in front of the engine; it ends with the engine's process. */
  tellNetwork(message: ToNetwork): void {
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
    await this.killProxy();
    if (how !== null) return;
    engine.child.process.kill('SIGKILL');
    await engine.child.exited;
    throw new RunError(`the engine did not end within ${DRAIN_TIMEOUT_MS} ms`);
  }

  /** `isBlind`: where it and its ranks see no process of a server. Default: not. */
  async startScheduler({ isBlind = false } = {}): Promise<void> {
    const launcher = isBlind ? BLIND_LAUNCHER : [];
    const child = forkHost<FromScheduler, ToScheduler>(SCHEDULER_MODULE, { ownGroup: true, launcher });
    this.isBlind = isBlind;
    this.#remember(child.pid);
    const namespace = isBlind ? await this.#namespaceBelow(child.pid) : null;
    const stopped = Promise.withResolvers<string | null>();
    this.#scheduler = { child, namespace, stopped: stopped.promise };
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
    const pids = scheduler.namespace === null ? ranks : [...ranks, this.schedulerPid ?? scheduler.child.pid];
    this.#scheduler = null;
    this.rankPids = [];
    scheduler.child.process.kill('SIGKILL');
    await scheduler.child.exited;
    for (const machine of ['scheduler', ...ranks.map((_, rank) => `rank ${rank}`)]) this.#recordKilled(machine);
    const areGone = () => pids.every((pid) => identifyProcess(pid) === null);
    await until('the ranks to end with their scheduler', EXIT_TIMEOUT_MS, areGone);
    if (scheduler.namespace !== null) removeShmObjectsOfNamespace(scheduler.namespace.inode);
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

  /** A namespace is there once the launcher has entered it. */
  async #namespaceBelow(launcherPid: number): Promise<PidNamespace> {
    const find = () => pidNamespaceBelow(launcherPid);
    await until(
      'the scheduler to be in a namespace of its own',
      LISTEN_TIMEOUT_MS,
      () => find().pidsHere([1]).length > 0,
    );
    return find();
  }

  #meetRanks(told: readonly number[]): void {
    const pids = this.#scheduler?.namespace?.pidsHere(told) ?? told;
    this.rankPids = pids;
    for (const pid of pids) this.#remember(pid);
  }

  #remember(pid: number): void {
    const identity = identifyProcess(pid);
    if (identity !== null) this.identities.push(identity);
  }
}
