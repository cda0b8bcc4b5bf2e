/** The child processes of a run: the engine, stopped and started again, and the scheduler host with its workers. */
import { wallTimeMs } from '../wall-time.ts';
import { within } from './deadline.ts';
import { type EngineOptions, type EngineProcess, spawnEngine } from './engine-process.ts';
import { type Child, forkHost } from './ipc.ts';
import type { StopKind } from './journal.ts';
import { identifyProcess, type ProcessIdentity } from './leaks.ts';
import type { FromScheduler, ToScheduler } from './messages.ts';
import type { DemoObserver } from './observer.ts';
import { RunError } from './run-error.ts';
import type { RunLog } from './run-log.ts';
import { forkOptionsOf } from './telemetry.ts';

/** Bounds on starting and stopping, in milliseconds; all far above what a busy machine needs. */
const LISTEN_TIMEOUT_MS = 20_000;
const DRAIN_TIMEOUT_MS = 15_000;
const SCHEDULER_STOP_TIMEOUT_MS = 20_000;

export class DemoProcesses {
  /** Everything that ever ran in this run. */
  readonly identities: ProcessIdentity[] = [];
  readonly #log: RunLog;
  readonly #engineOptions: EngineOptions;
  readonly #schedulerStopped = Promise.withResolvers<string | null>();
  #engine: EngineProcess | null = null;
  #scheduler: Child<FromScheduler, ToScheduler> | null = null;

  constructor(log: RunLog, engineOptions: EngineOptions) {
    this.#log = log;
    this.#engineOptions = engineOptions;
  }

  /** Starts an engine and waits until it listens. */
  async startEngine(): Promise<void> {
    const engine = spawnEngine(this.#engineOptions);
    this.#engine = engine;
    this.#remember(engine.pid);
    void engine.exited.then((how) => {
      if (this.#engine === engine) this.#log.fail(new RunError(`the engine ended by itself: ${how}`));
    });
    const listening = await this.#log.orFailure(within(LISTEN_TIMEOUT_MS, engine.listening, null));
    if (listening === null) throw new RunError(`the engine did not listen within ${LISTEN_TIMEOUT_MS} ms`);
    this.#log.record({ type: 'engine.listening', ...listening });
  }

  /** Stops the engine and waits until its process has ended. */
  async stopEngine(kind: StopKind, outageMs: number): Promise<void> {
    const engine = this.#engine;
    if (engine === null) throw new RunError('there is no engine to stop');
    this.#engine = null;
    this.#log.record({ type: 'engine.stopped', atMs: wallTimeMs(), kind, outageMs });
    const how = await this.#endEngine(engine, kind === 'graceful' ? 'SIGINT' : 'SIGKILL');
    if (how === null) throw new RunError(`the engine did not finish draining within ${DRAIN_TIMEOUT_MS} ms`);
  }

  startScheduler(
    start: Extract<ToScheduler, { readonly type: 'start' }>,
    observer: Pick<DemoObserver, 'transition' | 'warning' | 'fed'>,
  ): void {
    const scheduler = forkHost<FromScheduler, ToScheduler>('scheduler-host', {
      ownGroup: true,
      ...forkOptionsOf(this.#engineOptions.telemetry),
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
    const engine = this.#engine;
    this.#engine = null;
    if (engine !== null) {
      if ((await this.#endEngine(engine, 'SIGINT')) === null) complaints.push('the engine had to be killed');
      this.#log.record({ type: 'engine.exited', atMs: wallTimeMs(), pid: engine.pid });
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
  async #endEngine(engine: EngineProcess, signal: 'SIGINT' | 'SIGKILL'): Promise<string | null> {
    engine.kill(signal);
    const how = await within(DRAIN_TIMEOUT_MS, engine.exited, null);
    if (how !== null) return how;
    engine.kill('SIGKILL');
    await engine.exited;
    return null;
  }

  #remember(pid: number): void {
    const identity = identifyProcess(pid);
    if (identity !== null) this.identities.push(identity);
  }
}
