import type { ConnectionAddresses } from '../../src/rpc/link.ts';
import type { ScheduledEvent, SimulatedProcess } from './event-loop.ts';
import type { Kernel, Listener } from './kernel.ts';

export type EndCause = 'closed' | 'reset';

/** What one end of a connection hears; each is called in the process of that end. */
export interface ClientSide {
  readonly ended: (cause: EndCause) => void;
  /** The server is heard no more, or again. */
  readonly silence: (isSilent: boolean) => void;
}

export interface ServerSide {
  readonly ended: () => void;
}

type End = 'client' | 'server';

/** Milliseconds after which a server gives up a client that it does not hear: keepalive of 30 s and 20 s more. */
const SERVER_KEEPALIVE_MS = { from: 30_000, to: 50_000 };
/** Milliseconds until TCP sends again what was lost, once it can get through. */
const RETRANSMISSION_MS = { from: 1, to: 200 };

class Direction {
  isBlocked = false;
  lastArrivalMs = 0;
  held: (() => void)[] = [];
}

/** One TCP connection: two ordered streams, each of which may be cut, and two ends that learn of each other's end. */
export class Connection {
  readonly addresses: ConnectionAddresses;
  readonly client: SimulatedProcess;
  /** Of the accepted socket; `null` in the backlog. */
  inode: string | null = null;
  isOpenAtClient = true;
  isOpenAtServer = false;
  server: SimulatedProcess | null = null;
  /** Whose the accepted socket is: the server's, or that of a proxy before it. */
  owner: SimulatedProcess | null = null;
  serverSide: ServerSide | null = null;
  /** Will never carry anything again. */
  #isHalfOpen = false;
  #isSilent = false;
  #kernel: Kernel;
  #clientSide: ClientSide;
  #directions = { client: new Direction(), server: new Direction() };
  #keepalive: ScheduledEvent | null = null;

  constructor(kernel: Kernel, client: SimulatedProcess, side: ClientSide, addresses: ConnectionAddresses) {
    this.#kernel = kernel;
    this.client = client;
    this.#clientSide = side;
    this.addresses = addresses;
  }

  /** TCP is connected, by the kernels alone; the server's process has still to take it out of the backlog. */
  establish(listener: Listener): void {
    this.server = listener.process;
    this.owner = this.#kernel.proxy ?? listener.process;
    this.isOpenAtServer = true;
    this.#kernel.connections.add(this);
    this.#kernel.loop.schedule(listener.process, 0, 'io', () => {
      if (!this.isOpenAtServer) return;
      this.inode = this.#kernel.newInode();
      listener.accept(this);
    });
    this.judgeSilence();
  }

  /** To the other end, in order; nothing happens there when it has closed meanwhile. */
  send(to: End, deliver: () => void): void {
    const process = this.#processOf(to);
    if (process === null) return;
    const direction = this.#directions[to];
    if (direction.isBlocked) {
      direction.held.push(deliver);
      return;
    }
    const { loop } = this.#kernel;
    direction.lastArrivalMs = Math.max(direction.lastArrivalMs, loop.nowMs + this.#kernel.latencyMs());
    loop.schedule(process, direction.lastArrivalMs - loop.nowMs, 'io', () => {
      if (this.#isOpenAt(to)) deliver();
    });
  }

  closeByClient(): void {
    if (!this.isOpenAtClient) return;
    this.isOpenAtClient = false;
    this.send('server', () => this.#endAtServer());
    this.#forgetIfOver();
  }

  closeByServer(cause: EndCause): void {
    if (!this.isOpenAtServer) return;
    this.isOpenAtServer = false;
    this.#keepalive = null;
    this.send('client', () => this.#endAtClient(cause));
    this.#forgetIfOver();
  }

  processEnded(process: SimulatedProcess): void {
    if (process === this.client) this.closeByClient();
    if (process === this.owner && process !== this.server) {
      this.reset();
      return;
    }
    if (process === this.server) this.closeByServer(this.#kernel.random.chance(0.5) ? 'closed' : 'reset');
  }

  /** Somebody on the way resets it; both processes go on. */
  reset(): void {
    this.send('client', () => this.#endAtClient('reset'));
    this.send('server', () => this.#endAtServer());
  }

  block(...ends: readonly End[]): void {
    for (const end of ends) this.#directions[end].isBlocked = true;
    this.judgeSilence();
    const { loop, random } = this.#kernel;
    if (this.server === null) return;
    const giveUpMs = random.between(SERVER_KEEPALIVE_MS.from, SERVER_KEEPALIVE_MS.to);
    this.#keepalive ??= loop.schedule(this.server, giveUpMs, 'io', () => this.#endAtServer());
  }

  /** Packets are lost in both directions for good; neither end is told. */
  halfOpen(): void {
    this.#isHalfOpen = true;
    this.block('client', 'server');
  }

  unblock(): void {
    if (this.#isHalfOpen) return;
    const { loop, random } = this.#kernel;
    if (this.#keepalive !== null) this.#keepalive.isCancelled = true;
    this.#keepalive = null;
    for (const end of ['client', 'server'] as const) {
      const direction = this.#directions[end];
      if (!direction.isBlocked) continue;
      direction.isBlocked = false;
      direction.lastArrivalMs = loop.nowMs + random.between(RETRANSMISSION_MS.from, RETRANSMISSION_MS.to);
      for (const deliver of direction.held.splice(0)) this.send(end, deliver);
    }
    this.judgeSilence();
  }

  judgeSilence(): void {
    const { client, server } = this.#directions;
    const isSilent = client.isBlocked || server.isBlocked || this.server?.isStopped === true;
    if (isSilent === this.#isSilent || !this.isOpenAtClient) return;
    this.#isSilent = isSilent;
    this.#clientSide.silence(isSilent);
  }

  #endAtClient(cause: EndCause): void {
    if (!this.isOpenAtClient) return;
    this.isOpenAtClient = false;
    this.#forgetIfOver();
    this.#clientSide.ended(cause);
  }

  #endAtServer(): void {
    if (!this.isOpenAtServer) return;
    this.isOpenAtServer = false;
    this.#forgetIfOver();
    this.serverSide?.ended();
  }

  #forgetIfOver(): void {
    if (!this.isOpenAtClient && !this.isOpenAtServer) this.#kernel.connections.delete(this);
  }

  #processOf(end: End): SimulatedProcess | null {
    return end === 'client' ? this.client : this.server;
  }

  #isOpenAt(end: End): boolean {
    return end === 'client' ? this.isOpenAtClient : this.isOpenAtServer;
  }
}
