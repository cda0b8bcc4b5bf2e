/** A pegaflow-server by its path, such as one that `npm run real:install` made. */

import { within } from '../../src/demo/deadline.ts';
import { RunError } from '../../src/demo/run-error.ts';
import { freePort } from '../../src/demo/server/free-port.ts';
import { healthComplaint } from '../../src/demo/server/run-server.ts';
import { type ServerCommand, spawnServer } from '../../src/demo/server/server-command.ts';
import { ServerLog } from '../../src/demo/server/server-log.ts';
import type { ServerProcess } from '../../src/demo/server/server-process.ts';
import { testedServerVersions } from '../../src/index.ts';
import { faultFromRpc } from '../../src/rpc/fault-from-rpc.ts';
import { UsageError } from '../../src/usage-error.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import { BareLink } from '../bare-link.ts';
import { monotonicMs } from '../statistics.ts';
import type { Listening, MeasuredServer } from './measured-server.ts';
import type { ServerChoice } from './server-choice.ts';

/** How long a server may take to listen, and then to answer, in milliseconds. */
const START_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 10_000;

const POOL_SIZE_BYTES = 64 << 20;

/** Every line that a server writes is read by the process that is measured. */
const QUIET = ['--log-level', 'warn'];

/** Starts the command once to learn that it is a server, and which. */
export async function chooseCommand(path: string, flags: readonly string[]): Promise<ServerChoice> {
  const isLogLevelGiven = flags.some((flag) => flag.split('=')[0] === '--log-level');
  const command = { path, flags: isLogLevelGiven ? flags : [...QUIET, ...flags] };
  const probe = await CommandServer.start({ ...command, deviceCount: 1, version: '' });
  const version = await versionOf(path, probe).finally(() => probe[Symbol.asyncDispose]());
  if (!testedServerVersions.includes(version)) {
    const tested = testedServerVersions.join(', ');
    throw new UsageError(`--server ${path}: is pegaflow-server ${version}; connectors register with ${tested}`);
  }
  return {
    name: 'pegaflow-server',
    version,
    path,
    start: (deviceCount) => CommandServer.start({ ...command, deviceCount, version }),
  };
}

/** A registration without a version is refused with that of the server. */
async function versionOf(path: string, { endpoint }: MeasuredServer): Promise<string> {
  const complaint = await healthComplaint(endpoint);
  if (complaint !== null) throw new RunError(`${path} listens, but is no pegaflow-server: ${complaint}`);
  using bare = await BareLink.dial(endpoint);
  try {
    await bare.client.registerContextBatch({ clientVersion: '' }, { timeoutMs: ANSWER_TIMEOUT_MS });
  } catch (error) {
    const { serverVersion, message } = faultFromRpc(error, bare.link);
    if (serverVersion !== undefined) return serverVersion;
    throw new RunError(`${path} does not tell its version: ${message}`);
  }
  throw new RunError(`${path} accepts a registration without a version`);
}

interface CommandServerOptions {
  readonly path: string;
  readonly flags: readonly string[];
  readonly deviceCount: number;
  readonly version: string;
}

class CommandServer implements MeasuredServer {
  readonly version: string;
  readonly #command: ServerCommand;
  readonly #log = new ServerLog(null);
  #process: ServerProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();

  static async start({ path, flags, deviceCount, version }: CommandServerOptions): Promise<CommandServer> {
    const [port, httpPort] = [await freePort(), await freePort()];
    // Those of the tests' stand-ins for CUDA; a GPU is not asked for.
    const env = { PEGAFLOW_STAND_IN_DEVICES: `${deviceCount}` };
    const command = { path, flags, port, httpPort, poolSizeBytes: POOL_SIZE_BYTES, env };
    const server = new CommandServer(command, version);
    await server.start();
    return server;
  }

  private constructor(command: ServerCommand, version: string) {
    this.#command = command;
    this.version = version;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#command.port}`;
  }

  kill(): number {
    const atMs = monotonicMs();
    this.#process?.kill('SIGKILL');
    this.#process = null;
    return atMs;
  }

  async start(): Promise<Listening> {
    await this.#exited;
    const server = spawnServer(this.#command, this.#log);
    this.#process = server;
    this.#exited = server.exited;
    const listening = await within(START_TIMEOUT_MS, server.listening, null);
    if (listening === null) {
      await this[Symbol.asyncDispose]();
      throw new RunError(`${this.#command.path} did not listen within ${START_TIMEOUT_MS} ms`);
    }
    return { address: `127.0.0.1:${this.#command.port}`, atMs: monotonicMs() - (wallTimeMs() - listening.atMs) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#exited;
    this.#log[Symbol.dispose]();
  }
}
