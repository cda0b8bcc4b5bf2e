/**
 * Stands between clients and a server whose RPCs cannot be made to fail by its own means. Arguments: `host:port` of the
 * server and of its own. Switches come as messages, in the words of `src/engine/faults.ts`, and are answered with all,
 * and with how many RPCs were refused.
 */
import http2, { type ClientHttp2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import {
  FaultBoard,
  type FaultPatch,
  type MethodFault,
  type MethodRefusal,
  type RpcMethod,
} from '../../src/engine/faults.ts';
import {
  Engine,
  LoadResponseSchema,
  QueryLoadingSchema,
  QueryRequestSchema,
  QueryResponseSchema,
  RegisterContextRequestSchema,
} from '../../src/gen/pegaflow/engine_pb.ts';

const [target = '', listenAt = ''] = process.argv.slice(2);
const [host, port] = listenAt.split(':');

/** The length prefix of a gRPC message. */
const PREFIX_BYTES = 5;

/** All RPCs whose answer is no data answer so. */
const OK = toBinary(LoadResponseSchema, create(LoadResponseSchema, { status: { ok: true } }));

const board = new FaultBoard();
const refused: Record<string, number> = {};
const links = new WeakMap<object, ClientHttp2Session>();
/** By request id: what the server said, and how often Loading is said before that. */
const results = new Map<string, { left: number; answer: Promise<Answer> }>();

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** `null`: the headers were all. */
  readonly trailers: IncomingHttpHeaders | null;
}

const server = http2.createServer();
server.on('session', (near) => {
  const far = http2.connect(`http://${target}`);
  links.set(near, far);
  let isDraining = false;
  far.on('error', () => {});
  far.on('goaway', () => {
    isDraining = true;
    near.close();
  });
  far.on('close', () => {
    if (near.destroyed || isDraining) return near.destroy();
    // The server was killed. A session that is destroyed says GOAWAY, which a killed process does not.
    process.kill(process.pid, 'SIGKILL');
  });
  near.on('error', () => far.destroy());
  near.on('close', () => far.destroy());
});
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  serve(stream, headers).catch(() => stream.close(http2.constants.NGHTTP2_CANCEL));
});
server.listen(Number(port), host, () => process.send?.('listening'));

process.on('message', ({ id, patch, isCleared }: { id: number; patch?: FaultPatch; isCleared?: boolean }) => {
  if (isCleared) board.clear();
  if (patch) board.merge(patch);
  process.send?.({ id, switches: board.switches, refused });
});
process.on('disconnect', () => process.exit());

async function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
  const method = methodOf(headers);
  // A switch is used up by a request that is here in full, as at the engine: who waits for that may stop sending.
  const body = await buffer(stream);
  const fault: MethodFault = method === null ? {} : board.take(method);
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  if (fault.delayMs) await Promise.race([wait(fault.delayMs), closed]);
  if (fault.hang && method !== null) await Promise.race([board.untilLifted(method), closed]);
  if (stream.closed || stream.destroyed) return;
  if (fault.refuse && method !== null) {
    const name = method.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    refused[name] = (refused[name] ?? 0) + 1;
    return refuse(stream, fault.refuse);
  }
  if (fault.loseAck) {
    await ask(stream, headers, body);
    stream.session?.destroy();
    return;
  }
  if (fault.answerOnly) {
    const trailers = { 'grpc-status': '0' };
    return give(stream, {
      headers: { ':status': '200', 'content-type': 'application/grpc' },
      body: framed(OK),
      trailers,
    });
  }
  const { version, answerLoading = 0 } = board.switches;
  if (method === 'registerContextBatch' && version !== undefined) return register(stream, headers, body, version);
  if (method === 'queryPrefetch' && answerLoading > 0) return query(stream, headers, body, answerLoading);
  pass(stream, headers, body);
}

function methodOf(headers: IncomingHttpHeaders): RpcMethod | null {
  const name = String(headers[':path']).split('/').at(-1);
  return (Object.values(Engine.method).find((method) => method.name === name)?.localName as RpcMethod) ?? null;
}

/** As the server does that is of another version. */
async function register(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  body: Buffer,
  version: string,
): Promise<void> {
  const { clientVersion } = fromBinary(RegisterContextRequestSchema, body.subarray(PREFIX_BYTES));
  if (clientVersion === version) return give(stream, await ask(stream, headers, body));
  const message = `PegaFlow version mismatch: client=${clientVersion || '<missing>'} server=${version}`;
  refuse(stream, { code: Code.FailedPrecondition, message });
}

/** A result waits under its request id, whatever is asked with it. */
async function query(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  body: Buffer,
  times: number,
): Promise<void> {
  const { reqId } = fromBinary(QueryRequestSchema, body.subarray(PREFIX_BYTES));
  const result = results.get(reqId) ?? { left: times, answer: ask(stream, headers, body) };
  results.set(reqId, result);
  const answer = await result.answer;
  if (result.left === 0 || answer.trailers?.['grpc-status'] !== '0') {
    results.delete(reqId);
    return give(stream, answer);
  }
  result.left -= 1;
  const loading = create(QueryResponseSchema, {
    outcome: { case: 'loading', value: create(QueryLoadingSchema) },
  });
  give(stream, { ...answer, body: framed(toBinary(QueryResponseSchema, loading)) });
}

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function refuse(stream: ServerHttp2Stream, { code, message, retryPushbackMs }: MethodRefusal): void {
  const trailers = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(code),
    'grpc-message': encodeURIComponent(message),
    ...(retryPushbackMs !== undefined && { 'grpc-retry-pushback-ms': String(retryPushbackMs) }),
  };
  stream.respond(trailers, { endStream: true });
}

function requestTo(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
  const far = links.get(stream.session!);
  if (far === undefined) throw new Error('a stream of no connection');
  return far.request(headers, { endStream: false });
}

/** The whole of an RPC. */
async function ask(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: Buffer): Promise<Answer> {
  const request = requestTo(stream, headers);
  const answered = new Promise<{ headers: IncomingHttpHeaders; isAll: boolean }>((resolve, reject) => {
    request.once('response', (received, flags) => {
      resolve({ headers: received, isAll: (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0 });
    });
    request.once('error', reject);
    request.once('close', () => reject(new Error('no answer')));
  });
  let trailers: IncomingHttpHeaders | null = null;
  request.once('trailers', (received) => {
    trailers = received;
  });
  request.end(body);
  const { headers: received, isAll } = await answered;
  const content = await buffer(request);
  return { headers: received, body: content, trailers: isAll ? null : trailers };
}

function give(stream: ServerHttp2Stream, { headers, body, trailers }: Answer): void {
  if (stream.closed || stream.destroyed) return;
  stream.respond(headers, trailers === null ? { endStream: true } : { waitForTrailers: true });
  if (trailers === null) return;
  stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(body);
}

/** The answer as it comes; what ends on one side ends on the other. */
function pass(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: Buffer): void {
  const request = requestTo(stream, headers);
  let trailers: IncomingHttpHeaders = {};
  request.once('response', (received, flags) => {
    if (stream.closed || stream.destroyed) return;
    const isAll = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(received, isAll ? { endStream: true } : { waitForTrailers: true });
    if (isAll) return;
    stream.once('wantTrailers', () => stream.sendTrailers(trailers));
    request.pipe(stream);
  });
  request.once('trailers', (received) => {
    trailers = received;
  });
  request.on('error', () => {});
  request.once('close', () => {
    if (request.rstCode !== http2.constants.NGHTTP2_NO_ERROR) stream.close(request.rstCode);
  });
  stream.once('close', () => request.close(http2.constants.NGHTTP2_CANCEL));
  request.end(body);
}
