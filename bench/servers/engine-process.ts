import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PEGAFLOW_VERSION } from '../../src/pegaflow-version.ts';
import { monotonicMs } from '../statistics.ts';
import type { Listening, MeasuredServer } from './measured-server.ts';

const childPath = fileURLToPath(new URL('engine-child.ts', import.meta.url));

/** How long an engine may take to listen, in milliseconds. */
const START_TIMEOUT_MS = 30_000;

/** The embedded engine. */
export class EngineProcess implements MeasuredServer {
  static readonly version: string = PEGAFLOW_VERSION;
  readonly version: string = EngineProcess.version;
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

  kill(): number {
    const atMs = monotonicMs();
    this.#child?.kill('SIGKILL');
    return atMs;
  }

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
