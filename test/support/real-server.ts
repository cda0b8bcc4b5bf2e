import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { FaultBoard, type FaultPatch } from '../../src/engine/faults.ts';
import { installed } from '../real/installation.ts';
import type { PublishedVersion } from '../real/published-wheels.ts';
import { freePort } from './free-port.ts';
import { LogLines } from './log-lines.ts';
import { LOOPBACK_HOST } from './loopback.ts';
import { exitOf, ServerProcess } from './server-process.ts';
import { StandInControl, type StandInFaults } from './stand-in-control.ts';
import { splitSwitches } from './stand-in-faults.ts';
import { eventually } from './within.ts';

const START_TIMEOUT_MS = 20_000;
const POOL_SIZE_BYTES = 64 << 20;
const DEVICE_COUNT = 8;

export interface RealServerOptions {
  readonly version: PublishedVersion;
  /** `host:port`; port 0 means a free one. Default: a free port of {@link LOOPBACK_HOST}. */
  readonly addr?: string;
  readonly httpAddr?: string;
  /** Default 64 MiB; of it the machine gives what is used. */
  readonly poolSizeBytes?: number;
  /** GPUs that it sees. Default 8. */
  readonly deviceCount?: number;
  /** Further flags of pegaflow-server. Default none. */
  readonly flags?: readonly string[];
  /** Environment besides that of this process. Default none. */
  readonly env?: NodeJS.ProcessEnv;
  /** A command that runs the server, such as one that enters a namespace. Default none. */
  readonly launcher?: readonly string[];
  /** What goes wrong from the start. Default nothing. */
  readonly faults?: FaultPatch;
  /** The same in the words of the stand-ins, instead of `faults`. */
  readonly standIns?: StandInFaults;
}

/** The published pegaflow-server in a process of its own, on stand-ins for CUDA and torch. */
export class RealServer extends ServerProcess {
  readonly version: PublishedVersion;
  readonly #control: StandInControl;
  readonly #faults: FaultBoard;

  static async start(options: RealServerOptions): Promise<RealServer> {
    const { version, launcher = [] } = options;
    const { server: binary } = installed(version);
    const [grpc, http] = [await addressFrom(options.addr), await addressFrom(options.httpAddr)];
    const faults = new FaultBoard(options.faults);
    const control = new StandInControl();
    control.set(options.standIns ?? standInFaultsOf(faults));
    // Nobody is left to end the server when this process is gone.
    const [command, ...args] = [
      ...launcher,
      ...['setpriv', '--pdeathsig', 'KILL', '--', binary, '--addr', grpc, '--http-addr', http],
      ...flagsFrom(options),
    ];
    const env = {
      ...process.env,
      PEGAFLOW_STAND_IN_CONTROL: control.path,
      PEGAFLOW_STAND_IN_DEVICES: String(options.deviceCount ?? DEVICE_COUNT),
      ...options.env,
    };
    const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const log = new LogLines(child.stdout, child.stderr);
    const server = new RealServer(child, log, { grpc, http, pid: child.pid! }, version, control, faults);
    try {
      await server.#listening();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  private constructor(
    child: ChildProcess,
    log: LogLines,
    addresses: { readonly grpc: string; readonly http: string; readonly pid: number },
    version: PublishedVersion,
    control: StandInControl,
    faults: FaultBoard,
  ) {
    super(child, log, addresses);
    this.version = version;
    this.#control = control;
    this.#faults = faults;
  }

  /** What is wrong with the stand-ins from now on, in their own words. */
  standIns(faults: StandInFaults): void {
    this.#control.set(faults);
  }

  async fault(patch: FaultPatch): Promise<void> {
    this.#faults.merge(patch);
    this.standIns(standInFaultsOf(this.#faults));
  }

  /** One request to the HTTP port; `/faults` is answered as the embedded engine does. */
  override async http(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    if (path !== '/faults') return super.http(method, path, body);
    if (method === 'POST') await this.fault(body ?? {});
    if (method === 'DELETE') {
      this.#faults.clear();
      await this.fault({});
    }
    return { status: 200, text: JSON.stringify(this.#faults.switches) };
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#control[Symbol.dispose]();
  }

  /** The log says so a few milliseconds before the ports are bound. */
  async #listening(): Promise<void> {
    const died = exitOf(this.child).then((status) => {
      throw new Error(`pegaflow-server ${this.version} ended with ${status}: ${this.log}`);
    });
    died.catch(() => {});
    const answers = async () => ((await isOpen(this.grpcAddress)) && (await isOpen(this.httpAddress)) ? true : null);
    await Promise.race([died, eventually(`pegaflow-server ${this.version} to listen`, answers, START_TIMEOUT_MS)]);
  }
}

function standInFaultsOf({ switches }: FaultBoard): StandInFaults {
  const { standIns, rest } = splitSwitches(switches);
  const asked = Object.keys({ ...rest.methods, ...rest }).filter((name) => name !== 'methods');
  if (asked.length > 0) throw new Error(`pegaflow-server and its stand-ins have no switch for ${asked.join(', ')}`);
  return standIns;
}

async function addressFrom(given = `${LOOPBACK_HOST}:0`): Promise<string> {
  const [host = LOOPBACK_HOST, port] = given.split(':');
  return `${host}:${port === '0' ? await freePort(host) : port}`;
}

function flagsFrom({
  poolSizeBytes = POOL_SIZE_BYTES,
  deviceCount = DEVICE_COUNT,
  flags = [],
}: RealServerOptions): string[] {
  const devices = Array.from({ length: deviceCount }, (_, device) => device);
  return [
    ...['--devices', devices.join(','), '--disable-numa-affinity', '--pool-size', `${poolSizeBytes / 1024}kb`],
    ...['--log-level', 'debug', ...flags],
  ];
}

function isOpen(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  const socket = connect({ host: host!, port: Number(port) });
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy()) as Promise<boolean>;
}
