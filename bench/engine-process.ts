import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { monotonicMs } from './statistics.ts';

const childPath = fileURLToPath(new URL('engine-child.ts', import.meta.url));

/** How long an engine may take to listen, in milliseconds. */
const START_TIMEOUT_MS = 30_000;

/** What an engine says once it listens. */
export interface Listening {
  /** `host:port`. */
  readonly address: string;
  /** When it began to listen, on the clock of {@link monotonicMs}. */
  readonly atMs: number;
}

/** An embedded engine that can be killed and started again at the same port. It dies with this process, however that dies. */
export class EngineProcess implements AsyncDisposable {
  #child: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();
  #address = '127.0.0.1:0';

  static async start(): Promise<EngineProcess> {
    const engine = new EngineProcess();
    await engine.start();
    return engine;
  }

  get endpoint(): string {
    return `http://${this.#address}`;
  }

  /** Sends SIGKILL and returns without waiting: the moment before, on the clock of {@link monotonicMs}. */
  kill(): number {
    const atMs = monotonicMs();
    this.#child?.kill('SIGKILL');
    return atMs;
  }

  /** Waits until the engine before has exited, which must have been killed. Settles when the new one listens. */
  async start(): Promise<Listening> {
    await this.#exited;
    const child = fork(childPath, [this.#address], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child = child;
    this.#exited = once(child, 'exit');
    const died = this.#exited.then(() => {
      throw new Error(`the engine at ${this.#address} ended before it listened`);
    });
    const timeout = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
    try {
      const [listening]: Listening[] = await Promise.race([once(child, 'message'), died]);
      if (listening === undefined) throw new Error('the engine said nothing');
      this.#address = listening.address;
      return listening;
    } finally {
      clearTimeout(timeout);
      died.catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#exited;
  }
}
