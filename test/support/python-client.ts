import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { installed } from '../real/installation.ts';
import type { PublishedVersion } from '../real/published-wheels.ts';
import { within } from './within.ts';

const driverPath = fileURLToPath(new URL('../real/client/client_driver.py', import.meta.url));

/** What a call of the published client came to: a value, or the exception that it raised. */
export type ClientAnswer =
  | { readonly value: unknown }
  | { readonly error: { readonly class: string; readonly text: string } };

/** One request to `client_driver.py`: the operation and its arguments. */
export interface ClientRequest {
  readonly op: string;
  readonly [argument: string]: unknown;
}

/** A Python process with the client of one published wheel in it, and memory that its wrappers name. */
export class PythonClient implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exited: Promise<number | NodeJS.Signals>;
  readonly #pending = new Map<number, (answer: ClientAnswer) => void>();
  readonly #complaints: string[] = [];
  #lastId = 0;

  static async start(version: PublishedVersion): Promise<PythonClient> {
    const child = spawn(installed(version).python, [driverPath], { stdio: ['pipe', 'pipe', 'pipe'] });
    const client = new PythonClient(child);
    await within(20_000, 'the published client to start', client.call({ op: 'is_alive' }));
    return client;
  }

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    this.#exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
    child.stdin.on('error', () => {});
    createInterface(child.stderr).on('line', (line) => this.#complaints.push(line));
    createInterface(child.stdout).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line);
      this.#pending.get(id)?.(answer);
      this.#pending.delete(id);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Rejects when the process ends before it has answered. */
  async call(request: ClientRequest): Promise<ClientAnswer> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<ClientAnswer>();
    this.#pending.set(id, resolve);
    this.#child.stdin.write(`${JSON.stringify({ ...request, id })}\n`);
    const ended = this.#exited.then((status) => {
      throw new Error(`the client ended with ${status} in ${request.op}: ${this.#complaints.join('\n')}`);
    });
    return await Promise.race([promise, ended]);
  }

  /** The value of a call that must succeed. */
  async value<T = unknown>(request: ClientRequest): Promise<T> {
    const answer = await this.call(request);
    if ('error' in answer) throw new Error(`${request.op}: ${answer.error.class}: ${answer.error.text}`);
    return answer.value as T;
  }

  /** Ends the process as a crash would, and settles when it is gone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    // At its regular end Python unlinks the shared memory that it made.
    this.#child.stdin.end();
    try {
      await within(5000, 'the published client to end', this.#exited);
    } catch {
      await this.kill();
    }
  }
}
