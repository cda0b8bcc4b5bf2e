import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Announcement, RankReport } from '../../machines/index.ts';
import type { ConnectorStatus, SchedulerConnectorOptions, WorkerConnectorOptions } from '../../src/connector/index.ts';
import { removeShmObjectsOf, removeShmObjectsOfNamespace } from '../native-bindings/shm-objects.ts';
import { signalProcess } from './signal-process.ts';
import type { Recorded } from './telemetry-recorder.ts';
import { eventually, within } from './within.ts';

/** Several are started at once, each of which loads its modules: on a busy machine that takes longer than any recovery. */
const START_TIMEOUT_MS = 30_000;

const childPath = fileURLToPath(new URL('role-child.ts', import.meta.url));

export type RoleSetup = (
  | { readonly role: 'scheduler'; readonly options: SchedulerConnectorOptions }
  | { readonly role: 'rank'; readonly options: WorkerConnectorOptions }
) & {
  /** Whether the role's process registers an OpenTelemetry SDK. Default false. */
  readonly isRecorded?: boolean;
};

/** What crosses between a role and its parent; each message has one of these. */
export interface RoleMessage {
  /** It takes messages from now on. */
  readonly isStarted?: true;
  readonly status?: ConnectorStatus;
  readonly announcement?: Announcement;
  readonly report?: RankReport;
  /** Milliseconds for which the event loop of the role stands still, and back when it has. */
  readonly stallMs?: number;
  /** Asks for what was recorded. */
  readonly collect?: true;
  readonly recorded?: Recorded;
}

/** A scheduler or a rank in a process of its own. */
export class RoleProcess implements AsyncDisposable {
  /** Every status that it told, oldest first. */
  readonly told: ConnectorStatus[] = [];
  readonly #child: ChildProcess;
  readonly #isLaunched: boolean;
  readonly #exited: Promise<unknown>;
  #last: RoleMessage = {};
  #others = new Set<RoleProcess>();
  readonly #started = Promise.withResolvers<void>();
  #stalled = Promise.withResolvers<void>();
  #recorded = Promise.withResolvers<Recorded>();

  /** `launcher` runs the role, such as a command that enters a namespace. Default none. */
  constructor(setup: RoleSetup, [command, ...args]: readonly string[] = []) {
    this.#isLaunched = command !== undefined;
    this.#child = fork(childPath, [JSON.stringify(setup)], {
      serialization: 'advanced',
      ...(command !== undefined && { execPath: command, execArgv: [...args, process.execPath] }),
    });
    this.#exited = once(this.#child, 'exit');
    this.#child.on('message', (message: RoleMessage) => {
      if (message.isStarted) this.#started.resolve();
      if (message.status) this.told.push(message.status);
      if (message.stallMs) this.#stalled.resolve();
      if (message.recorded) this.#recorded.resolve(message.recorded);
      if (!message.announcement && !message.report) return;
      this.#last = message;
      for (const other of this.#others) other.tell(message);
    });
  }

  get status(): ConnectorStatus | null {
    return this.told.at(-1) ?? null;
  }

  /** Carries what this role says to the other one from now on, the newest of what it has said first; and back. */
  join(other: RoleProcess): void {
    for (const [one, two] of [
      [this, other],
      [other, this],
    ] as const) {
      one.#others.add(two);
      two.tell(one.#last);
    }
  }

  tell(message: RoleMessage): void {
    // A child that is just dying hears nothing any more, and the error of that says nothing new.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** Lets its event loop stand still, and settles when it has. */
  async stall(stallMs: number): Promise<void> {
    this.#stalled = Promise.withResolvers();
    this.tell({ stallMs });
    await within(stallMs + 15_000, 'the end of the stall', this.#stalled.promise);
  }

  /** What its SDK has recorded up to now. */
  async collect(): Promise<Recorded> {
    this.#recorded = Promise.withResolvers();
    this.tell({ collect: true });
    return within(15_000, 'what was recorded', this.#recorded.promise);
  }

  signal(signal: NodeJS.Signals): void {
    signalProcess(this.#child, signal);
  }

  /** Settles when it is in service in an epoch after `counter`. */
  async inServiceAfter(counter: number): Promise<number> {
    await within(START_TIMEOUT_MS, 'the role to start', this.#started.promise);
    return eventually(
      `an epoch after ${counter} in service`,
      () => {
        const { state, epoch } = this.status ?? {};
        return state === 'connected' && epoch && epoch.counter > counter ? epoch.counter : null;
      },
      15_000,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid = 0, exitCode, signalCode } = this.#child;
    const hasEnded = exitCode !== null || signalCode !== null;
    const namespace =
      hasEnded || !this.#isLaunched ? null : statSync(`/proc/${pid}/ns/pid_for_children`, { bigint: true });
    this.#child.kill('SIGKILL');
    if (!hasEnded) await this.#exited;
    removeShmObjectsOf(pid);
    if (namespace !== null) removeShmObjectsOfNamespace(namespace.ino);
  }
}
