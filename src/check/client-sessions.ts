import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  connect,
  constants,
} from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import { errorText } from '../error-text.ts';

/** With Node's default of 10 MB a client drops the answer that arrives while it still sends a large message. */
const MAX_SESSION_MEMORY_MB = 1024;

/**
 * The connections of one client, one after the other, for connect-node. Its own manager stops listening to one that has failed, whose
 * late error then ends the process, and answers GOAWAY with GOAWAY, at which pegaflow-server ends the streams that are open.
 */
export class ClientSessions implements Disposable {
  readonly authority: string;
  #session: ClientHttp2Session | null = null;
  #connected: Promise<ClientHttp2Session> | null = null;

  constructor(endpoint: string) {
    this.authority = new URL(endpoint).origin;
  }

  async request(
    method: string,
    path: string,
    headers: Record<string, string | string[] | undefined>,
    options?: Omit<ClientSessionRequestOptions, 'signal'>,
  ): Promise<ClientHttp2Stream> {
    const session = await this.#open();
    const stream = session.request({ ...headers, ':method': method, ':path': path }, options);
    // What ends it in this very turn comes before connect-node can listen.
    stream.on('error', () => {});
    return stream;
  }

  notifyResponseByteRead(): void {}

  [Symbol.dispose](): void {
    // With an error: without one, Node leaves the calls that wait for an answer waiting.
    this.#session?.destroy(new ConnectError('connection aborted', Code.Canceled), constants.NGHTTP2_CANCEL);
  }

  #open(): Promise<ClientHttp2Session> {
    if (this.#connected !== null && !this.#session?.closed && !this.#session?.destroyed) return this.#connected;
    const session = connect(this.authority, { maxSessionMemory: MAX_SESSION_MEMORY_MB });
    session.goaway = () => {};
    this.#session = session;
    this.#connected = new Promise((resolve, reject) => {
      session.once('connect', () => resolve(session));
      session.once('close', () => reject(new ConnectError('the connection was closed', Code.Canceled)));
      session.on('error', (error) => reject(new ConnectError(errorText(error), Code.Unavailable)));
    });
    return this.#connected;
  }
}
