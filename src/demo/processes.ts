/** The child processes of a run: the server, stopped and started again, and the scheduler host with its workers. */
import { wallTimeMs } from '../wall-time.ts';
import { within } from './deadline.ts';
import { type Child, forkHost } from './hosts/ipc.ts';
import type { FromScheduler, ToScheduler } from './hosts/messages.ts';
import type { StopKind } from './journal.ts';
import { identifyProcess, type ProcessIdentity } from './leaks.ts';
import type { DemoObserver } from './observer.ts';
import { RunError } from './run-error.ts';
import type { RunLog } from './run-log.ts';
import type { ServerLog } from './server/server-log.ts';
import type { Listening, ServerProcess, StartServer } from './server/server-process.ts';
import { type DemoTelemetry, forkOptionsOf } from './telemetry.ts';

/** Bounds on starting and stopping, in milliseconds; all far above what a busy machine needs. */
const LISTEN_TIMEOUT_MS = { engine: 20_000, server: 120_000 };
const DRAIN_TIMEOUT_MS = 15_000;
const SCHEDULER_STOP_TIMEOUT_MS = 20_000;

/** Without its extension. */
export const SCHEDULER_MODULE = new URL('./hosts/scheduler-process', import.meta.url);

export interface ProcessOptions {
  /** `null`: somebody else starts and stops it. */
  readonly server: RunServer | null;
  readonly telemetry: DemoTelemetry | null;
}

/** The server that a run starts and stops. */
export interface RunServer {
  /** What messages call it. */
  readonly name: 'engine' | 'server';
  readonly start: StartServer;
  readonly log: ServerLog;
  /** Settles with a complaint, or with `null` once it answers. */
  readonly answers: () => Promise<string | null>;
}

export class DemoProcesses {
  /** Everything that ever ran in this run. */
  readonly identities: ProcessIdentity[] = [];
  readonly #log: RunLog;
  readonly #options: ProcessOptions;
  readonly #schedulerStopped = Promise.withResolvers<string | null>();
  #server: ServerProcess | null = null;
  #listening: Listening | null = null;
  #scheduler: Child<FromScheduler, ToScheduler> | null = null;

  constructor(log: RunLog, options: ProcessOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Starts the server and waits until it answers. */
  async startServer(): Promise<void> {
    const { name, start, log, answers } = this.#ownServer;
    const server = start();
    this.#server = server;
    this.#listening = null;
    this.#remember(server.pid);
    const ended = server.exited.then((how) => {
      // Of one that has not listened yet, `listening` tells it.
      if (this.#server !== server || this.#listening === null) return;
      const words = log.lastWords === '' ? how : `${how}: ${log.lastWords}`;
      this.#log.fail(new RunError(`the ${name} ended by itself (${words})`));
    });
    const limitMs = LISTEN_TIMEOUT_MS[name];
    const listening = await this.#log.orFailure(within(limitMs, server.listening, null));
    if (listening === null) throw new RunError(`the ${name} did not listen within ${limitMs} ms`);
    this.#listening = listening;
    this.#remember(listening.pid);
    const complaint = await this.#log.orFailure(Promise.race([answers(), ended.then(() => null)]));
    if (complaint !== null) throw new RunError(complaint);
    this.#log.record({ type: 'engine.listening', ...listening });
  }

  /** Stops the server and waits until nothing of it is left. */
  async stopServer(kind: StopKind, outageMs: number): Promise<void> {
    const server = this.#server;
    const { name } = this.#ownServer;
    if (server === null) throw new RunError(`there is no ${name} to stop`);
    this.#server = null;
    this.#log.record({ type: 'engine.stopped', atMs: wallTimeMs(), kind, outageMs });
    const how = await this.#endServer(server, kind === 'graceful' ? 'SIGINT' : 'SIGKILL');
    if (how === null) throw new RunError(`the ${name} did not finish draining within ${DRAIN_TIMEOUT_MS} ms`);
  }

  startScheduler(
    start: Extract<ToScheduler, { readonly type: 'start' }>,
    observer: Pick<DemoObserver, 'transition' | 'warning' | 'fed'>,
  ): void {
    const scheduler = forkHost<FromScheduler, ToScheduler>(SCHEDULER_MODULE, {
      ownGroup: true,
      ...forkOptionsOf(this.#options.telemetry),
    });
    this.#scheduler = scheduler;
    this.#remember(scheduler.pid);
    void scheduler.exited.then((how) => {
      this.#log.fail(new RunError(`the scheduler host ended by itself: ${how}`));
      this.#schedulerStopped.resolve(`the scheduler host ended by itself: ${how}`);
    });
    scheduler.onMessage((message) => {
      if (message.type === 'happened') this.#log.record(message.event);
      else if (message.type === 'transition') observer.transition(message.line);
      else if (message.type === 'warned') observer.warning(message.warning);
      else if (message.type === 'fed') observer.fed(message.record);
      else if (message.type === 'started') for (const pid of message.pids) this.#remember(pid);
      else if (message.type === 'failed') this.#log.fail(new RunError(message.reason));
      else this.#schedulerStopped.resolve(message.complaint);
    });
    scheduler.send(start);
  }

  send(message: Extract<ToScheduler, { readonly type: 'request' }>): void {
    this.#scheduler?.send(message);
  }

  /** Ends everything in order, and by force what does not end. Settles with what went wrong, or `null`. */
  async end(): Promise<string | null> {
    const complaints = [await this.#endScheduler()];
    const server = this.#server;
    this.#server = null;
    if (server !== null) {
      const how = await this.#endServer(server, 'SIGINT');
      if (how === null) complaints.push(`the ${this.#ownServer.name} had to be killed`);
      this.#log.record({ type: 'engine.exited', atMs: wallTimeMs(), pid: this.#listening?.pid ?? server.pid });
    }
    return complaints.filter((complaint) => complaint !== null).join('; ') || null;
  }

  async #endScheduler(): Promise<string | null> {
    const scheduler = this.#scheduler;
    if (scheduler === null) return null;
    scheduler.send({ type: 'stop' });
    const late = `the scheduler host did not stop within ${SCHEDULER_STOP_TIMEOUT_MS} ms`;
    const complaint = await within(SCHEDULER_STOP_TIMEOUT_MS, this.#schedulerStopped.promise, late);
    if (complaint === late) scheduler.process.kill('SIGKILL');
    else if (scheduler.process.connected) scheduler.process.disconnect();
    await scheduler.exited;
    return complaint;
  }

  /** Settles with how it ended; `null` where it had to be killed. */
  async #endServer(server: ServerProcess, signal: 'SIGINT' | 'SIGKILL'): Promise<string | null> {
    server.kill(signal);
    const how = await within(DRAIN_TIMEOUT_MS, server.exited, null);
    if (how !== null) return how;
    server.kill('SIGKILL');
    await server.exited;
    return null;
  }

  get #ownServer(): RunServer {
    const { server } = this.#options;
    if (server === null) throw new RunError('the server is not ours to start or stop');
    return server;
  }

  #remember(pid: number): void {
    const identity = identifyProcess(pid);
    if (identity !== null) this.identities.push(identity);
  }
}
