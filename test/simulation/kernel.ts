/** The simulated host: processes, one loopback network, shared memory, device memory. One at a time in a thread. */
import type { ConnectionAddresses } from '../../src/rpc/link.ts';
import { type ClientSide, Connection } from './connection.ts';
import type { DeviceMemory } from './device-memory.ts';
import { EventLoop, type SimulatedProcess } from './event-loop.ts';
import { Journal } from './journal.ts';
import { Random } from './random.ts';
import type { Violation } from './violation.ts';

export interface Listener {
  readonly port: number;
  /** Of the listening socket. */
  readonly inode: string;
  readonly process: SimulatedProcess;
  /** In the listener's process: the connection is taken out of the backlog. */
  readonly accept: (connection: Connection) => void;
}

/** Milliseconds that a message takes on loopback. */
const LATENCY_MS = { from: 0.05, to: 0.4 };
const LINES_KEPT = 400;

/** A thread of a server that copies for one registration. */
export interface CopyThread {
  readonly tid: number;
  readonly name: string;
  readonly startMs: number;
  readonly process: SimulatedProcess;
}

export class Kernel {
  readonly loop = new EventLoop();
  /** The device's own queues: nothing stops them. */
  readonly device = this.loop.spawn('device');
  readonly journal = new Journal(() => this.loop.nowMs, LINES_KEPT);
  readonly random: Random;
  /** Behind `Math.random` and the randomness of `node:crypto`. */
  readonly productRandom: Random;
  readonly connections = new Set<Connection>();
  /** Of all servers, until they end. */
  readonly threads = new Set<CopyThread>();
  /** Servers that have not begun to end. */
  readonly livingPids = new Set<number>();
  /** What the records of loads say, by name. */
  readonly loadStates = new Map<string, { state: number; readonly owner: SimulatedProcess }>();
  /** By name, whoever holds it. */
  readonly heldNames = new Map<string, object>();
  readonly deviceMemories = new Map<number, DeviceMemory>();
  /** Whether the pid behind a socket can be seen from the clients' PID namespace. */
  arePidsVisible = true;
  /** Whose sockets all clients are connected with; `null` where nothing stands between. */
  proxy: SimulatedProcess | null = null;
  /** No SYN is answered. */
  isBlackholed = false;
  /** Added to every message, in milliseconds. */
  extraLatencyMs = 0;
  violation: Violation | null = null;
  /** SIGKILL to a process, by another one. */
  onFence: (pid: number, by: SimulatedProcess) => void = () => {};
  #listeners: Listener[] = [];
  #lastInode = 70_000;
  #lastPort = 40_000;
  #lastTid = 0;

  constructor(seed: number) {
    this.random = new Random(seed, 'kernel');
    this.productRandom = new Random(seed, 'product');
  }

  /** Keeps the first violation; the run ends before the next event. */
  readonly report = (violation: Violation): void => {
    this.violation ??= violation;
  };

  newInode(): string {
    return String(++this.#lastInode);
  }

  /** As a server starts one; the function that comes back ends it. */
  startThread(process: SimulatedProcess, name: string): () => void {
    const thread = { tid: ++this.#lastTid, name, startMs: this.loop.nowMs, process };
    this.threads.add(thread);
    return () => this.threads.delete(thread);
  }

  latencyMs(): number {
    return this.random.between(LATENCY_MS.from, LATENCY_MS.to) + this.extraLatencyMs;
  }

  listen(listener: Listener): void {
    this.#listeners.push(listener);
    listener.process.atExit.push(() => this.unlisten(listener));
  }

  unlisten(listener: Listener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  listenersAt(port: number): readonly Listener[] {
    return this.#listeners.filter((listener) => listener.port === port);
  }

  /** connect(2) by the running process. `refused` when nobody listens, nothing at all while SYNs are dropped. */
  dial(port: number, side: ClientSide, refused: () => void): Connection {
    const client = this.loop.current;
    const addresses: ConnectionAddresses = {
      localAddress: '127.0.0.1',
      localPort: ++this.#lastPort,
      remoteAddress: '127.0.0.1',
      remotePort: port,
    };
    const connection = new Connection(this, client, side, addresses);
    if (this.isBlackholed) return connection;
    this.loop.schedule(client, this.latencyMs(), 'io', () => {
      if (!connection.isOpenAtClient) return;
      const listeners = this.listenersAt(port);
      const listener = listeners.length > 1 ? this.random.pick(listeners) : listeners[0];
      if (listener === undefined || this.proxy?.isDead) refused();
      else connection.establish(listener);
    });
    return connection;
  }

  /** A process stands still; whoever waits for a word of it hears nothing. */
  stop(process: SimulatedProcess): void {
    this.loop.stop(process);
    for (const connection of this.connections) connection.judgeSilence();
  }

  continue(process: SimulatedProcess): void {
    this.loop.continue(process);
    for (const connection of this.connections) connection.judgeSilence();
  }

  kill(process: SimulatedProcess): void {
    for (const connection of [...this.connections]) connection.processEnded(process);
    this.loop.kill(process);
  }
}

let current: Kernel | null = null;

/** The kernel of this run. */
export function kernel(): Kernel {
  if (current === null) throw new Error('no simulation is running');
  return current;
}

export function boot(seed: number): Kernel {
  current = new Kernel(seed);
  return current;
}
