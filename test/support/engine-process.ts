import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { EngineOptions } from '../../src/engine/index.ts';
import { LOOPBACK_HOST } from './loopback.ts';
import { eventually, within } from './within.ts';

const childPath = fileURLToPath(new URL('engine-child.ts', import.meta.url));

const ANY_PORT = `${LOOPBACK_HOST}:0`;

/** Options that survive JSON. */
export type ChildEngineOptions = Partial<
  Pick<
    EngineOptions,
    'addr' | 'httpAddr' | 'poolSizeBytes' | 'version' | 'leaseTtlMs' | 'pingIntervalMs' | 'pingTimeoutMs' | 'faults'
  >
> & {
  /** GPUs of the emulated device. Default 8. */
  readonly deviceCount?: number;
};

export interface ChildProcessOptions {
  /** A command that runs the engine, such as one that enters a namespace. Default none. */
  readonly launcher?: readonly string[];
  /** The engine does not react to SIGTERM. Default false. */
  readonly ignoresSigterm?: boolean;
}

/** An engine in a process of its own, on free ports, with its fault switches enabled. */
export class EngineProcess implements AsyncDisposable {
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly pid: number;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exited: Promise<number | NodeJS.Signals>;
  readonly #logLines: string[];
  readonly #logWaiters: Set<() => void>;

  static async start(
    options: ChildEngineOptions = {},
    { launcher = [], ignoresSigterm = false }: ChildProcessOptions = {},
  ): Promise<EngineProcess> {
    const given = { addr: ANY_PORT, httpAddr: ANY_PORT, isFaultControlEnabled: true, ...options };
    const node = [process.execPath, childPath, JSON.stringify(given), ...(ignoresSigterm ? ['--ignore-sigterm'] : [])];
    const [command, ...args] = [...launcher, ...node];
    const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const logLines: string[] = [];
    const logWaiters = new Set<() => void>();
    createInterface(child.stderr).on('line', (line) => {
      logLines.push(line);
      for (const wake of logWaiters) wake();
    });
    const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
    const listening = once(createInterface(child.stdout), 'line').then(([line]) => line);
    const died = exited.then((status) => {
      throw new Error(`engine ended with ${status}: ${logLines.join('\n')}`);
    });
    died.catch(() => {});
    const line = await within(20_000, 'the engine to listen', Promise.race([listening, died]));
    return new EngineProcess(child, exited, JSON.parse(line), logLines, logWaiters);
  }

  private constructor(
    child: ChildProcessWithoutNullStreams,
    exited: Promise<number | NodeJS.Signals>,
    listening: { grpc: string; http: string; pid: number },
    logLines: string[],
    logWaiters: Set<() => void>,
  ) {
    this.#child = child;
    this.#exited = exited;
    this.#logLines = logLines;
    this.#logWaiters = logWaiters;
    this.grpcAddress = listening.grpc;
    this.httpAddress = listening.http;
    this.pid = listening.pid;
  }

  /** The exit code, or the signal that ended it. */
  get exited(): Promise<number | NodeJS.Signals> {
    return this.#exited;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get log(): string {
    return this.#logLines.join('\n');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** How many RPCs of this name, such as `load`, the engine has answered; with a `status`, such as `ok`, those alone. */
  async rpcCount(method: string, status?: string): Promise<number> {
    const labels = [`method="${method}"`, ...(status === undefined ? [] : [`status="${status}"`])];
    const { text } = await this.http('GET', '/metrics');
    return text
      .split('\n')
      .filter((line) => line.startsWith('pegaflow_rpc_requests_total') && labels.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(/\} (\S+)/.exec(line)?.[1]), 0);
  }

  /** Settles when a log line contains `text`. */
  async logged(text: string): Promise<void> {
    const isLogged = () => this.#logLines.some((line) => line.includes(text));
    let wake = () => {};
    const seen = new Promise<void>((resolve) => {
      wake = () => {
        if (isLogged()) resolve();
      };
    });
    this.#logWaiters.add(wake);
    wake();
    try {
      await within(5000, `the log line "${text}"`, seen);
    } finally {
      this.#logWaiters.delete(wake);
    }
  }

  /** One request to the HTTP port. */
  async http(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const init = { method, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await fetch(`http://${this.httpAddress}${path}`, init);
    return { status: response.status, text: await response.text() };
  }

  /** Evicts every block, and settles when no lease and no transfer keeps the memory of one any more. */
  async unpinned(): Promise<void> {
    await this.http('POST', '/cache/memory/cleanup');
    await eventually('the memory of every block to be free', async () => {
      const { text } = await this.http('GET', '/metrics');
      return /^pegaflow_pool_used_bytes(\{.*\})? 0\b/m.test(text) ? true : null;
    });
  }

  /** Changes the fault switches. */
  async fault(patch: object): Promise<void> {
    const { status, text } = await this.http('POST', '/faults', patch);
    if (status !== 200) throw new Error(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isRunning) return;
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
