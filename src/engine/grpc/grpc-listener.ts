import http2 from 'node:http2';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { EngineLog } from '../engine-log.ts';
import { type ConnectionPings, GrpcConnection } from './grpc-connection.ts';

/** Node refuses streams of a connection that holds more; its default of 10 is less than one large message. */
const MAX_SESSION_MEMORY_MB = 1024;

/** What a stream, and a connection, may receive before it is read. */
const WINDOW_BYTES = 1 << 20;

/** Refusals repeat what the client named, and Node ends the connection of one that is larger; its default is 64 KiB. */
const MAX_SENT_HEADER_BLOCK_BYTES = 1 << 20;

/** What metadata may take, as HTTP/2 counts it: told to clients, and 431 above it. */
export const MAX_HEADER_LIST_BYTES = 16_384;

/**
 * Node resets a stream whose metadata are larger than the limit that its client was told; the server answers it. So
 * the limit is told and then raised to the most that Node takes.
 */
const RAISED_HEADER_LIST_BYTES = 65_535;

export interface ListenerOptions extends ConnectionPings {
  /** Puts what is served on HTTP/2. */
  readonly serve: (server: http2.Http2Server) => void;
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
  readonly #connections = new Set<GrpcConnection>();
  readonly #unaccepted = new Set<Duplex>();
  #isDraining = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#h2 = http2.createServer({
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      maxSendHeaderBlockLength: MAX_SENT_HEADER_BLOCK_BYTES,
      maxHeaderListPairs: Math.floor(RAISED_HEADER_LIST_BYTES / 32),
      settings: { initialWindowSize: WINDOW_BYTES, maxFrameSize: 16_384, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
    });
    options.serve(this.#h2);
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
    if (this.#isDraining) {
      this.#unaccepted.add(socket);
      socket.once('close', () => this.#unaccepted.delete(socket));
      return;
    }
    const serve = (session: http2.ServerHttp2Session) => this.#serve(socket, session);
    // Within `emit`.
    this.#h2.once('session', serve);
    this.#h2.emit('connection', socket);
    this.#h2.off('session', serve);
  }

  /** Says GOAWAY to everyone and waits until the last call has ended, however long that takes. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    const connections = [...this.#connections];
    for (const connection of connections) connection.drain();
    await Promise.all(connections.map(({ ended }) => ended));
    this.destroy();
  }

  /** Closes the port and every connection at once. */
  destroy(): void {
    this.#isDraining = true;
    this.#net.close();
    for (const socket of this.#unaccepted) socket.destroy();
    for (const connection of this.#connections) connection.destroy();
  }

  #serve(socket: Duplex, session: http2.ServerHttp2Session): void {
    session.setLocalWindowSize(WINDOW_BYTES);
    session.settings({ maxHeaderListSize: RAISED_HEADER_LIST_BYTES });
    const connection = new GrpcConnection(socket, session, this.#options);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }
}
