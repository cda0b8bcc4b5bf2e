import { Code, ConnectError, type Interceptor, type Transport, type UnaryRequest } from '@connectrpc/connect';
import { createTransport } from '@connectrpc/connect/protocol-grpc';
import { createNodeHttpClient } from '@connectrpc/connect-node';
import { Engine, type SaveRequest } from '../gen/pegaflow/engine_pb.ts';
import { type Link, NotSentError } from './link.ts';
import { slicedSave } from './sliced-save.ts';
import { isVital } from './vital-calls.ts';

type Next = Parameters<Interceptor>[0];
type HttpClient = ReturnType<typeof createNodeHttpClient>;

export interface GrpcTransportOptions {
  readonly link: Link;
  /** Largest message either way. */
  readonly maxMessageBytes: number;
  readonly interceptors: readonly Interceptor[];
}

const GRPC_TYPE = 'application/grpc';
/** An uncompressed message of gRPC: a byte of flags and four of length come first. */
const PREFIX_BYTES = 5;

/**
 * gRPC on one link. A save may have some hundred thousand hashes: its body is made while it is sent, a slice whenever the
 * stream has taken the one before, where Connect would encode all of it in one turn of the event loop.
 */
export function createGrpcTransport({ link, maxMessageBytes, interceptors }: GrpcTransportOptions): Transport {
  const bodies = new WeakMap<Headers, AsyncIterable<Uint8Array>>();
  const vital = new WeakSet<Headers>();
  const slicing: Interceptor = (next) => (request) => {
    if (isVital(request)) vital.add(request.header);
    if (request.method !== Engine.method.save || request.stream) return next(request);
    return sliced(next, request);
  };
  const sliced = async (next: Next, request: UnaryRequest) => {
    bodies.set(request.header, bodyOf(request.message as SaveRequest, maxMessageBytes));
    return await next(request);
  };
  const clientOf = (isVitalCall: boolean) => {
    const sessionManager = leavingWithItsStream(link, isVitalCall);
    return grpcAnswers(createNodeHttpClient({ httpVersion: '2', sessionProvider: () => sessionManager }));
  };
  const [vitalClient, ordinaryClient] = [clientOf(true), clientOf(false)];
  return createTransport({
    baseUrl: link.authority,
    httpClient: (request) => {
      const body = bodies.get(request.header);
      const sent = body === undefined ? request : { ...request, body };
      const isVitalCall = vital.has(request.header);
      const client = isVitalCall ? vitalClient : ordinaryClient;
      const room = link.streams.enter(isVitalCall, request.signal, withdrawn);
      return room === null ? client(sent) : room.then(() => client(sent));
    },
    useBinaryFormat: true,
    // The last one is the closest to the network.
    interceptors: [...interceptors, slicing],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 0,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
  });
}

/** What a proxy says in HTTP alone is no answer, and nobody reads the rest of it: its stream would stay open. */
function grpcAnswers(client: HttpClient): HttpClient {
  return async (request) => {
    const response = await client(request);
    const type = response.header.get('content-type');
    if (response.status === 200 && type?.startsWith(GRPC_TYPE)) return response;
    const said = response.status === 200 ? `content of type ${type}` : `HTTP ${response.status}`;
    const error = new ConnectError(`${said} and no gRPC status: a proxy, or no gRPC server`, Code.Canceled);
    await response.body[Symbol.asyncIterator]()
      .throw?.(error)
      .catch(() => {});
    throw error;
  };
}

function withdrawn(): NotSentError {
  return new NotSentError('the call was given up before there was room for it');
}

/** Who was let through by the gate of the link gives up the place with the stream, or where there is none. */
function leavingWithItsStream(
  link: Link,
  isVitalCall: boolean,
): Pick<Link, 'authority' | 'request' | 'notifyResponseByteRead'> {
  const leave = () => link.streams.leave(isVitalCall);
  return {
    authority: link.authority,
    notifyResponseByteRead: () => {},
    request: async (...given) => {
      try {
        const stream = await link.request(...given);
        if (stream.closed) leave();
        else stream.once('close', leave);
        return stream;
      } catch (error) {
        leave();
        throw error;
      }
    },
  };
}

function bodyOf(message: SaveRequest, maxMessageBytes: number): AsyncIterable<Uint8Array> {
  const { sizeBytes, slices } = slicedSave(message);
  if (sizeBytes > maxMessageBytes) {
    const text = `message size ${sizeBytes} is larger than the limit of ${maxMessageBytes}`;
    throw new ConnectError(text, Code.ResourceExhausted);
  }
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(sizeBytes, 1);
  return enveloped(prefix, slices());
}

async function* enveloped(prefix: Uint8Array, slices: Generator<Uint8Array, void>): AsyncGenerator<Uint8Array, void> {
  yield prefix;
  yield* slices;
}
