import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createRandom } from '../../src/demo/workload/random.ts';
import { Flow, type Weather } from './flow.ts';
import { LOOPBACK_HOST } from './loopback.ts';

/**
 * What becomes of a new connection.
 * - `open`: it is connected through
 * - `reset`: accepted and reset at once, as by a port that is published before its server listens
 * - `silent`: accepted and never answered
 */
export type Door = 'open' | 'reset' | 'silent';

interface Passage {
  readonly near: Socket;
  readonly far: Socket;
  isStranded: boolean;
}

/** Stands between a client and a server on a port of its own; what it does to them can be changed at any time. */
export class TcpProxy implements AsyncDisposable {
  /** `host:port` of the server; new connections go there. */
  target: string;
  door: Door = 'open';
  toServer: Weather = {};
  toClient: Weather = {};
  /** Connections that were accepted since the start, through whatever door. */
  accepted = 0;
  #server: Server;
  #random = createRandom(1);
  #silent = new Set<Socket>();
  #passages = new Set<Passage>();
  #port = 0;

  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.#listen();
    return proxy;
  }

  private constructor(target: string) {
    this.target = target;
    this.#server = createServer({ noDelay: true }, (near) => this.#accept(near));
  }

  get endpoint(): string {
    return `http://${LOOPBACK_HOST}:${this.#port}`;
  }

  get connections(): number {
    return this.#passages.size;
  }

  /** Closes every connection that passes; new ones are accepted. */
  cut(): void {
    for (const passage of this.#passages) destroyBoth(passage);
    for (const socket of this.#silent) socket.destroy();
  }

  /** Resets every connection that passes, on both sides, in the middle of whatever is being said. */
  reset(): void {
    for (const passage of this.#passages) resetBoth(passage);
  }

  /** The connections that pass carry nothing any more, not even an end of one side to the other; new ones pass. */
  strand(): void {
    for (const passage of this.#passages) passage.isStranded = true;
  }

  /** Closes the client's side of every connection; the server's side stays open, so that it notices nothing. */
  cutClients(): void {
    this.strand();
    for (const { near } of this.#passages) near.destroy();
  }

  /** What was stranded ends at both sides at last. */
  cutStranded(): void {
    for (const passage of this.#passages) if (passage.isStranded) destroyBoth(passage);
  }

  /** New connections are refused until {@link admit}; those that pass go on. */
  async refuse(): Promise<void> {
    // Its promise would wait for the connections as well.
    this.#server.close();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Listens again, on the same port. */
  async admit(): Promise<void> {
    await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : null;
    this.#server.close();
    this.cut();
    await closed;
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, LOOPBACK_HOST);
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  #accept(near: Socket): void {
    this.accepted += 1;
    near.on('error', () => {});
    if (this.door === 'reset') near.resetAndDestroy();
    else if (this.door === 'silent') this.#keepSilent(near);
    else this.#pass(near);
  }

  #keepSilent(near: Socket): void {
    this.#silent.add(near);
    near.once('close', () => this.#silent.delete(near));
    near.resume();
  }

  #pass(near: Socket): void {
    const [host, port] = this.target.split(':');
    const far = connect({ host: host!, port: Number(port), noDelay: true });
    const passage: Passage = { near, far, isStranded: false };
    this.#passages.add(passage);
    const toServer = () => (passage.isStranded ? BLACKHOLE : this.toServer);
    const toClient = () => (passage.isStranded ? BLACKHOLE : this.toClient);
    for (const [from, to, weather] of [
      [near, far, toServer],
      [far, near, toClient],
    ] as const) {
      new Flow(from, to, weather, this.#random, () => resetBoth(passage));
      from.on('error', () => {});
      from.once('close', () => {
        if (!weather().isBlackhole) to.destroy();
        if (near.destroyed && far.destroyed) this.#passages.delete(passage);
      });
    }
  }
}

const BLACKHOLE: Weather = { isBlackhole: true };

function destroyBoth({ near, far }: Passage): void {
  for (const socket of [near, far]) socket.destroy();
}

function resetBoth({ near, far }: Passage): void {
  for (const socket of [near, far]) socket.resetAndDestroy();
}
