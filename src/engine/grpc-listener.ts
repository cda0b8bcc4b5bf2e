import http2 from 'node:http2';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { EngineLog } from './engine-log.ts';

/** Node refuses streams of a connection that holds more; its default of 10 is less than one large message. */
const MAX_SESSION_MEMORY_MB = 1024;

/** What a stream, and a connection, may receive before it is read. */
const WINDOW_BYTES = 1 << 20;

/** What clients are told that metadata may take. */
const MAX_HEADER_LIST_BYTES = 16_384;

/**
 * Node resets a stream whose metadata are larger than the limit that its client was told; the server answers it. So
 * the limit is told and then raised to the most that Node takes.
 */
const RAISED_HEADER_LIST_BYTES = 65_535;

export interface ListenerOptions {
  /** Puts what is served on HTTP/2. */
  readonly serve: (server: http2.Http2Server) => void;
  /** Milliseconds between pings to each client. */
  readonly pingIntervalMs: number;
  /** Milliseconds after which an unanswered ping ends the connection. */
  readonly pingTimeoutMs: number;
  readonly log: EngineLog;
}

/**
 * The port: HTTP/2 without TLS. While it drains it accepts nobody, but keeps listening, so that a new connection
 * succeeds and then hears nothing, as at the real server.
 */
export class GrpcListener {
  readonly #options: ListenerOptions;
  readonly #h2: http2.Http2Server;
  readonly #net: net.Server;
  readonly #connections = new Set<Duplex>();
  readonly #unaccepted = new Set<Duplex>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  #onConnectionEnd = () => {};
  #isDraining = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#h2 = http2.createServer({
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      maxHeaderListPairs: RAISED_HEADER_LIST_BYTES / 32,
      settings: { initialWindowSize: WINDOW_BYTES, maxFrameSize: 16_384, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
    });
    options.serve(this.#h2);
    this.#h2.on('session', (session) => this.#watch(session));
    this.#h2.on('sessionError', (error) => options.log.debug({}, `connection: ${error.message}`));
    this.#net = net.createServer({ noDelay: true }, (socket) => this.accept(socket));
  }

  /** Binds the port, 0 for any, and returns the one it got. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#net.once('error', reject);
      this.#net.listen(port, host, resolve);
    });
    const address = this.#net.address();
    if (address === null || typeof address === 'string') throw new Error(`no TCP address on ${host}`);
    return address.port;
  }

  /** Serves a connection that is there already. */
  accept(socket: Duplex): void {
    socket.on('error', (error) => this.#options.log.debug({}, `connection: ${error.message}`));
    const set = this.#isDraining ? this.#unaccepted : this.#connections;
    set.add(socket);
    socket.once('close', () => {
      set.delete(socket);
      this.#onConnectionEnd();
    });
    if (!this.#isDraining) this.#h2.emit('connection', socket);
  }

  /** Says GOAWAY to everyone and waits until the last of them has left, however long that takes. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const session of this.#sessions) session.close();
    await new Promise<void>((resolve) => {
      this.#onConnectionEnd = () => {
        if (this.#connections.size === 0) resolve();
      };
      this.#onConnectionEnd();
    });
    this.destroy();
  }

  /** Closes the port and every connection at once. */
  destroy(): void {
    this.#isDraining = true;
    this.#net.close();
    // The sockets first: a session that is destroyed says GOAWAY, which a process that dies does not.
    for (const socket of [...this.#connections, ...this.#unaccepted]) socket.destroy();
    for (const session of this.#sessions) session.destroy();
  }

  #watch(session: http2.ServerHttp2Session): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    let deadline: NodeJS.Timeout | undefined;
    const answered = () => {
      clearTimeout(deadline);
      deadline = undefined;
    };
    const interval = setInterval(() => {
      if (deadline !== undefined || session.destroyed) return;
      const wasSent = session.ping(answered);
      if (wasSent) deadline = setTimeout(() => session.destroy(), pingTimeoutMs);
    }, pingIntervalMs);
    session.setLocalWindowSize(WINDOW_BYTES);
    session.settings({ maxHeaderListSize: RAISED_HEADER_LIST_BYTES });
    this.#sessions.add(session);
    session.once('close', () => {
      clearInterval(interval);
      clearTimeout(deadline);
      this.#sessions.delete(session);
    });
  }
}
