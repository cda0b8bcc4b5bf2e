import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { FaultPatch } from '../../src/engine/faults.ts';
import type { LogLines } from './log-lines.ts';
import { signalProcess } from './signal-process.ts';
import { eventually } from './within.ts';

/** A server that this test has started as a process of its own, and what can be done to it besides calling it. */
export abstract class ServerProcess implements AsyncDisposable {
  /** `host:port` */
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly pid: number;
  protected readonly child: ChildProcess;
  readonly #exited: Promise<number | NodeJS.Signals>;
  protected readonly lines: LogLines;

  protected constructor(
    child: ChildProcess,
    log: LogLines,
    { grpc, http, pid }: { readonly grpc: string; readonly http: string; readonly pid: number },
  ) {
    this.child = child;
    this.lines = log;
    this.grpcAddress = grpc;
    this.httpAddress = http;
    this.pid = pid;
    this.#exited = exitOf(child);
  }

  /** The exit code, or the signal that ended it. */
  get exited(): Promise<number | NodeJS.Signals> {
    return this.#exited;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get log(): string {
    return this.lines.text;
  }

  signal(signal: NodeJS.Signals): void {
    signalProcess(this.child, signal);
  }

  /** How many RPCs of this name, such as `load`, the server has answered; with a `status`, such as `ok`, those alone. */
  async rpcCount(method: string, status?: string): Promise<number> {
    const labels = [`method="${method}"`, ...(status === undefined ? [] : [`status="${status}"`])];
    const { text } = await this.http('GET', '/metrics');
    return text
      .split('\n')
      .filter((line) => line.startsWith('pegaflow_rpc_requests_total') && labels.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(/\} (\S+)/.exec(line)?.[1]), 0);
  }

  /** Settles when a log line contains `text`. */
  logged(text: string): Promise<void> {
    return this.lines.logged(text);
  }

  /** Settles when a log line contains `text` that is written from now on. */
  nextLogged(text: string): Promise<void> {
    return this.lines.nextLogged(text);
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

  /** Changes the fault switches, in the words of the embedded engine (`src/engine/faults.ts`). */
  abstract fault(patch: FaultPatch & { readonly crash?: true }): Promise<void>;

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isRunning) return;
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

export async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  if (child.exitCode !== null) return child.exitCode;
  if (child.signalCode !== null) return child.signalCode;
  const [code, signal] = await once(child, 'exit');
  return code ?? signal;
}
