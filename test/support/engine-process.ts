import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { EngineOptions } from '../../src/engine/index.ts';
import { LogLines } from './log-lines.ts';
import { LOOPBACK_HOST } from './loopback.ts';
import { exitOf, ServerProcess } from './server-process.ts';
import { within } from './within.ts';

const childPath = fileURLToPath(new URL('engine-child.ts', import.meta.url));

const ANY_PORT = `${LOOPBACK_HOST}:0`;

/** Options that survive JSON. */
export type ChildEngineOptions = Partial<
  Pick<
    EngineOptions,
    | 'addr'
    | 'httpAddr'
    | 'poolSizeBytes'
    | 'version'
    | 'leaseTtlMs'
    | 'pingIntervalMs'
    | 'pingTimeoutMs'
    | 'faults'
    | 'hasCopyThreads'
    | 'isAllocationBlockwise'
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
  /** What serves gRPC. Default: the engine itself. */
  readonly grpc?: 'engine' | 'connect-node';
}

/** An engine in a process of its own, on free ports, with its fault switches enabled. */
export class EngineProcess extends ServerProcess {
  static async start(
    options: ChildEngineOptions = {},
    { launcher = [], ignoresSigterm = false, grpc = 'engine' }: ChildProcessOptions = {},
  ): Promise<EngineProcess> {
    const given = { addr: ANY_PORT, httpAddr: ANY_PORT, isFaultControlEnabled: true, ...options };
    const flags = [...(ignoresSigterm ? ['--ignore-sigterm'] : []), ...(grpc === 'engine' ? [] : [`--${grpc}`])];
    const [command, ...args] = [...launcher, process.execPath, childPath, JSON.stringify(given), ...flags];
    const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const log = new LogLines(child.stderr);
    const listening = once(createInterface(child.stdout), 'line').then(([line]) => line);
    const died = exitOf(child).then((status) => {
      throw new Error(`engine ended with ${status}: ${log.text}`);
    });
    died.catch(() => {});
    const line = await within(20_000, 'the engine to listen', Promise.race([listening, died]));
    return new EngineProcess(child, log, JSON.parse(line));
  }

  private constructor(child: ChildProcess, log: LogLines, listening: { grpc: string; http: string; pid: number }) {
    super(child, log, listening);
  }

  /** Changes the fault switches. */
  async fault(patch: object): Promise<void> {
    const { status, text } = await this.http('POST', '/faults', patch);
    if (status !== 200) throw new Error(text);
  }
}
