import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { EngineLog } from '../engine-log.ts';
import { MessageReader } from './message-reader.ts';
import { rpcErrorFrom, statusHeaders } from './rpc-status.ts';

/** Who calls, as a handler knows it. */
export interface Caller {
  readonly headers: CallHeaders;
  /** Aborted when the caller is gone or its deadline has passed; the reason is what the call then fails with. */
  readonly signal: AbortSignal;
  /** Ends the connection of the call, and with it every other call on it. */
  dropConnection(): void;
}

/** Metadata by lower-case name. */
export type CallHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const RESPONSE_HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

const OK_TRAILERS = { 'grpc-status': '0' };

/** One call on an HTTP/2 stream. A refusal is Trailers-Only: one HEADERS frame. */
export class GrpcCall implements Caller {
  readonly headers: IncomingHttpHeaders;
  readonly #stream: ServerHttp2Stream;
  readonly #deadline: NodeJS.Timeout | null;
  #abort: AbortController | null = null;
  #abortReason: ConnectError | null = null;
  #rejectMessage: ((reason: unknown) => void) | null = null;
  #isReceived = false;
  #isAnswered = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, log: EngineLog) {
    this.headers = headers;
    this.#stream = stream;
    const timeoutMs = timeoutMsFrom(headers['grpc-timeout']);
    this.#deadline = timeoutMs === null ? null : setTimeout(() => this.#end('Timeout expired'), timeoutMs);
    stream.on('error', (error) => log.debug({}, `stream: ${error.message}`));
    stream.once('close', () => this.#end('the caller is gone'));
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#abortReason !== null) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  /** Nothing can be answered any more. */
  get isOver(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** Settles when the stream is closed, whoever closed it. To be asked for before anything is awaited. */
  untilClosed(): Promise<void> {
    return new Promise((resolve) => {
      this.#stream.once('close', resolve);
    });
  }

  /** The one message of the request, once all of it is here. Rejects with what the call fails with. */
  receive<M extends DescMessage>(schema: M): Promise<MessageShape<M>> {
    const reader = new MessageReader(schema);
    const stream = this.#stream;
    return new Promise((resolve, reject) => {
      const onData = (chunk: Buffer) => attempt(() => reader.push(chunk));
      const onEnd = () => {
        this.#isReceived = true;
        attempt(() => resolve(reader.end()));
      };
      const attempt = (work: () => void) => {
        try {
          work();
        } catch (error) {
          fail(error);
        }
      };
      const fail = (reason: unknown) => {
        stream.off('data', onData);
        stream.off('end', onEnd);
        reject(reason);
      };
      stream.on('data', onData);
      stream.once('end', onEnd);
      this.#rejectMessage = fail;
      if (this.#abortReason !== null) fail(this.#abortReason);
    });
  }

  /** The answer's headers, long before there is a message. A deadline ends here. */
  begin(): void {
    this.#settle();
    this.#stream.respond(RESPONSE_HEADERS);
  }

  /** The answer. */
  answer<M extends DescMessage>(schema: M, response: MessageInitShape<M>): void {
    this.#settle();
    if (this.isOver) return;
    const stream = this.#stream;
    stream.once('wantTrailers', () => {
      if (!this.isOver) stream.sendTrailers(OK_TRAILERS);
    });
    stream.respond(RESPONSE_HEADERS, { waitForTrailers: true });
    stream.end(framed(toBinary(schema, create(schema, response))));
  }

  refuse(thrown: unknown): void {
    this.#settle();
    if (this.isOver || this.#stream.headersSent) return;
    this.#endWith({ ...RESPONSE_HEADERS, ...statusHeaders(rpcErrorFrom(thrown)) });
  }

  /** Answers in HTTP alone. */
  refuseWithHttpStatus(status: number): void {
    this.#settle();
    this.#endWith({ ':status': status });
  }

  dropConnection(): void {
    this.#stream.session?.destroy();
  }

  #endWith(headers: Record<string, string | number>): void {
    this.#stream.respond(headers, { endStream: true });
    // What the caller still sends is of no use to anyone.
    if (!this.#isReceived) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #settle(): void {
    this.#isAnswered = true;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
  }

  #end(words: string): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    if (this.#abortReason !== null || this.#isAnswered) return;
    this.#abortReason = new ConnectError(words, Code.Canceled);
    this.#rejectMessage?.(this.#abortReason);
    this.#abort?.abort(this.#abortReason);
  }
}

const framed = (message: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(5 + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
};

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** What a timer takes: 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** `null`: none, also where it is malformed, which the server ignores. */
const timeoutMsFrom = (header: string | string[] | undefined): number | null => {
  if (typeof header !== 'string') return null;
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  return match === null ? null : Math.min(Number(match[1]) * UNIT_MS[match[2]!]!, MAX_TIMER_MS);
};
