import { constants, type ServerHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';

export interface ConnectionPings {
  /** Milliseconds between pings to each client. */
  readonly pingIntervalMs: number;
  /** Milliseconds after which an unanswered ping ends the connection. */
  readonly pingTimeoutMs: number;
}

/** No stream has a higher number: GOAWAY with it announces an end and refuses nothing yet. */
const MAX_STREAM_ID = 2 ** 31 - 1;

/** One client's connection, from its acceptance to its end. */
export class GrpcConnection {
  /** Settles when all that is to be said was sent, whether or not the client ends its own side. */
  readonly ended: Promise<void>;
  readonly #socket: Duplex;
  readonly #session: ServerHttp2Session;
  #hasClient = false;

  constructor(socket: Duplex, session: ServerHttp2Session, pings: ConnectionPings) {
    this.#socket = socket;
    this.#session = session;
    this.ended = new Promise((resolve) => {
      for (const event of ['finish', 'close']) socket.once(event, () => resolve());
    });
    session.once('remoteSettings', () => {
      this.#hasClient = true;
    });
    this.#watch(pings);
  }

  /**
   * Says that no more calls are wanted, and with the answer to a ping, when the client has read that, takes no more: those
   * that crossed it are served. Ends with the last call.
   */
  drain(): void {
    if (this.#session.destroyed) return;
    if (!this.#hasClient) {
      this.destroy();
      return;
    }
    // Written here: nghttp2 stops reading an idle connection once it has sent GOAWAY. It writes whole frames, so ours cannot
    // split one.
    this.#socket.write(goaway(MAX_STREAM_ID));
    this.#session.ping((error) => {
      if (error === null && !this.#session.destroyed) this.#session.close();
    });
  }

  /** The socket first: a session that is destroyed says GOAWAY, which a process that dies does not. */
  destroy(): void {
    this.#socket.destroy();
    this.#session.destroy();
  }

  #watch({ pingIntervalMs, pingTimeoutMs }: ConnectionPings): void {
    const session = this.#session;
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
    session.once('close', () => {
      clearInterval(interval);
      clearTimeout(deadline);
    });
  }
}

const FRAME_HEADER_BYTES = 9;
const GOAWAY = 7;

const goaway = (lastStreamId: number): Buffer => {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + 8);
  frame.writeUIntBE(8, 0, 3);
  frame[3] = GOAWAY;
  frame.writeUInt32BE(lastStreamId, FRAME_HEADER_BYTES);
  frame.writeUInt32BE(constants.NGHTTP2_NO_ERROR, FRAME_HEADER_BYTES + 4);
  return frame;
};
