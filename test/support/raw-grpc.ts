import http2 from 'node:http2';
import { within } from './within.ts';

const END_STREAM = 1;

export interface RawAnswer {
  readonly headers: http2.IncomingHttpHeaders;
  /** `null`: the headers were all there was, in one frame. */
  readonly trailers: http2.IncomingHttpHeaders | null;
  readonly body: Buffer;
  readonly rstCode: number;
}

export interface RawRequest {
  readonly path: string;
  readonly body?: Buffer;
  readonly method?: string;
  /** Besides those that gRPC has; `undefined` leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** The request stays open. Default false. */
  readonly staysOpen?: boolean;
}

/** One uncompressed message, as gRPC sends it. */
export function messageFrame(message: Uint8Array = Buffer.alloc(0), flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Calls of which every header can be chosen and every answer is seen as it came, on one connection. */
export class RawGrpc implements Disposable {
  readonly #session: http2.ClientHttp2Session;

  constructor(grpcAddress: string) {
    // With Node's default of 10 MB a client drops the answer that arrives while it still sends a large message.
    this.#session = http2.connect(`http://${grpcAddress}`, { maxSessionMemory: 1024 });
    this.#session.on('error', () => {});
  }

  open({ path, body, method = 'POST', headers = {}, staysOpen = false }: RawRequest): http2.ClientHttp2Stream {
    const all = { ':method': method, ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers };
    const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    const stream = this.#session.request(sent, { endStream: false });
    stream.on('error', () => {});
    if (body !== undefined) stream.write(body);
    if (!staysOpen) stream.end();
    return stream;
  }

  async call(request: RawRequest): Promise<RawAnswer> {
    return within(10_000, `an answer to ${request.path}`, answerOf(this.open(request)));
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

const answerOf = (stream: http2.ClientHttp2Stream): Promise<RawAnswer> =>
  new Promise((resolve) => {
    let headers: http2.IncomingHttpHeaders = {};
    let trailers: http2.IncomingHttpHeaders | null = null;
    const chunks: Buffer[] = [];
    stream.once('response', ({ date, ...others }, flags) => {
      headers = others;
      if ((flags & END_STREAM) === 0) trailers = {};
    });
    stream.once('trailers', (received) => {
      trailers = received;
    });
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.once('close', () => {
      // The symbol is Node's own note of what is sensitive.
      const plain = (from: object) => Object.fromEntries(Object.entries(from));
      const answer = { headers: plain(headers), trailers: trailers === null ? null : plain(trailers) };
      resolve({ ...answer, body: Buffer.concat(chunks), rstCode: stream.rstCode });
    });
  });
