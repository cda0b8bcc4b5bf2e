import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hasCode } from '../../native-bindings/system-call-error.ts';
import { FaultBoard, type FaultPatch, type FaultSwitches } from '../../src/engine/faults.ts';
import { installed } from '../real/installation.ts';
import type { PublishedVersion } from '../real/published-wheels.ts';
import { freePort } from './free-port.ts';
import { LogLines } from './log-lines.ts';
import { LOOPBACK_HOST } from './loopback.ts';
import { RegistrationThreadHolder } from './registration-thread-holder.ts';
import { RpcFaultProxy } from './rpc-fault-proxy.ts';
import { exitOf, ServerProcess } from './server-process.ts';
import { StandInControl, type StandInFaults } from './stand-in-control.ts';
import { rpcPatchOf, splitSwitches } from './stand-in-faults.ts';
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
  /**
   * Single RPCs will be made to fail, which the server cannot do itself: a process stands between it and its clients, who
   * see the pid of that one. It ends after the server, and stands still with it. Default: whether `faults` needs it.
   */
  readonly hasRpcFaults?: boolean;
  /** The same in the words of the stand-ins, instead of `faults`. */
  readonly standIns?: StandInFaults;
}

/** The published pegaflow-server in a process of its own, on stand-ins for CUDA and torch. */
export class RealServer extends ServerProcess {
  readonly version: PublishedVersion;
  readonly #control: StandInControl;
  readonly #faults: FaultBoard;
  /** Its own, where clients are given that of the process in between. */
  readonly #ownGrpcAddress: string;
  #between: RpcFaultProxy | null = null;
  readonly #allExited: Promise<number | NodeJS.Signals>;
  #threadHolder: RegistrationThreadHolder | null = null;
  /** How many lines the log had when the faults were changed last. */
  #faultsFromLine = 0;

  static async start(options: RealServerOptions): Promise<RealServer> {
    const { version, launcher = [] } = options;
    const { server: binary } = installed(version);
    const faults = new FaultBoard(options.faults);
    const { standIns, rpcs } = splitSwitches(faults.switches);
    const { hasRpcFaults = namesIn(rpcs).length > 0 } = options;
    const [grpc, http] = [await addressFrom(options.addr), await addressFrom(options.httpAddr)];
    const ownGrpc = hasRpcFaults ? await addressFrom() : grpc;
    const control = new StandInControl();
    control.set(options.standIns ?? standIns);
    // Nobody is left to end the server when this process is gone.
    const [command, ...args] = [
      ...launcher,
      ...['setpriv', '--pdeathsig', 'KILL', '--', binary, '--addr', ownGrpc, '--http-addr', http],
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
    const server = new RealServer(child, log, { grpc, http, pid: child.pid! }, version, control, faults, ownGrpc);
    try {
      await server.#listening();
      if (hasRpcFaults) server.#between = await RpcFaultProxy.start(ownGrpc, grpc);
      await server.#between?.change({ patch: rpcs });
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
    ownGrpcAddress: string,
  ) {
    super(child, log, addresses);
    this.version = version;
    this.#control = control;
    this.#faults = faults;
    this.#ownGrpcAddress = ownGrpcAddress;
    this.#allExited = super.exited.then(async (status) => {
      await this.#between?.[Symbol.asyncDispose]();
      return status;
    });
  }

  /** What is wrong with the stand-ins from now on, in their own words. */
  standIns(faults: StandInFaults): void {
    this.#control.set(faults);
  }

  async fault(patch: FaultPatch): Promise<void> {
    this.#faults.merge(patch);
    await this.#obeyFaults();
    await this.#between?.change({ patch: rpcPatchOf(patch) });
  }

  /** One request to the HTTP port; `/faults` is answered as the embedded engine does. */
  override async http(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    if (path !== '/faults') return super.http(method, path, body);
    if (method === 'POST') await this.fault(body ?? {});
    if (method === 'DELETE') {
      this.#faults.clear();
      await this.#obeyFaults();
    }
    const { switches } = this.#faults;
    const between = await this.#between?.change({ isCleared: method === 'DELETE' });
    const methods = { ...switches.methods, ...between?.switches.methods };
    const register = methods.registerContextBatch;
    const isTaken = register?.times === 1 && this.lines.has('stand-in: open waits', this.#faultsFromLine);
    if (isTaken) methods.registerContextBatch = { ...register, times: 0 };
    return { status: 200, text: JSON.stringify({ ...switches, ...between?.switches, methods }) };
  }

  /** Those are counted too that the process in between has refused. */
  override async rpcCount(method: string, status?: string): Promise<number> {
    const answered = await super.rpcCount(method, status);
    const between = await this.#between?.change({});
    return status === undefined ? answered + (between?.refused[method] ?? 0) : answered;
  }

  /** With the process in between, whose port is free then too. */
  override get exited(): Promise<number | NodeJS.Signals> {
    return this.#allExited;
  }

  override signal(signal: NodeJS.Signals): void {
    super.signal(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') this.#between?.signal(signal);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#between?.[Symbol.asyncDispose]();
    await this.#threadHolder?.end();
    this.#control[Symbol.dispose]();
  }

  async #obeyFaults(): Promise<void> {
    const { standIns, isThreadHeld, rpcs } = splitSwitches(this.#faults.switches);
    if (this.#between === null && namesIn(rpcs).length > 0) {
      throw new Error(`a published server needs hasRpcFaults for ${namesIn(rpcs).join(', ')}`);
    }
    this.#faultsFromLine = this.lines.length;
    this.standIns({ ...standIns, ...(isThreadHeld && RegistrationThreadHolder.standIns) });
    if (isThreadHeld && this.#threadHolder === null) {
      const isHeld = this.nextLogged('stand-in: open waits');
      this.#threadHolder = RegistrationThreadHolder.begin(this.#ownGrpcAddress, this.version);
      await isHeld;
    }
    if (isThreadHeld || this.#threadHolder === null) return;
    await this.#threadHolder.end();
    this.#threadHolder = null;
  }

  /** The log says so a few milliseconds before the ports are bound, and a dial from here could take the port itself. */
  async #listening(): Promise<void> {
    const died = exitOf(this.child).then((status) => {
      throw new Error(`pegaflow-server ${this.version} ended with ${status}: ${this.log}`);
    });
    died.catch(() => {});
    const addresses = [this.#ownGrpcAddress, this.httpAddress];
    const isBound = () => (addresses.every((address) => isListening(this.pid, address)) ? true : null);
    await Promise.race([died, eventually(`pegaflow-server ${this.version} to listen`, isBound, START_TIMEOUT_MS)]);
  }
}

function namesIn({ methods, ...others }: FaultSwitches): string[] {
  return [...Object.keys(methods), ...Object.keys(others)];
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

/** Whether somebody listens at this address in the network of the process (proc(5), `net/tcp`). */
function isListening(pid: number, address: string): boolean {
  const [host = '', port] = address.split(':');
  const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, '0');
  const ip = host
    .split('.')
    .reverse()
    .map((part) => hex(Number(part), 2))
    .join('');
  return tcpTable(pid).includes(` ${ip}:${hex(Number(port), 4)} 00000000:0000 0A `);
}

function tcpTable(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/net/tcp`, 'latin1');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EINVAL')) return '';
    throw error;
  }
}
