import { Code, ConnectError, type Interceptor, type Transport, type UnaryRequest } from '@connectrpc/connect';
import { createTransport } from '@connectrpc/connect/protocol-grpc';
import { createNodeHttpClient } from '@connectrpc/connect-node';
import { Engine, type SaveRequest } from '../gen/pegaflow/engine_pb.ts';
import type { Link } from './link.ts';
import { slicedSave } from './sliced-save.ts';

type Next = Parameters<Interceptor>[0];

export interface GrpcTransportOptions {
  readonly link: Link;
  /** Largest message either way. */
  readonly maxMessageBytes: number;
  readonly interceptors: readonly Interceptor[];
}

/** An uncompressed message of gRPC: a byte of flags and four of length come first. */
const PREFIX_BYTES = 5;

/**
 * gRPC on one link. A save may have some hundred thousand hashes: its body is made while it is sent, a slice whenever the
 * stream has taken the one before, where Connect would encode all of it in one turn of the event loop.
 */
export function createGrpcTransport({ link, maxMessageBytes, interceptors }: GrpcTransportOptions): Transport {
  const bodies = new WeakMap<Headers, AsyncIterable<Uint8Array>>();
  const slicing: Interceptor = (next) => (request) => {
    if (request.method !== Engine.method.save || request.stream) return next(request);
    return sliced(next, request);
  };
  const sliced = async (next: Next, request: UnaryRequest) => {
    bodies.set(request.header, bodyOf(request.message as SaveRequest, maxMessageBytes));
    return await next(request);
  };
  const client = createNodeHttpClient({ httpVersion: '2', sessionProvider: () => link });
  return createTransport({
    baseUrl: link.authority,
    httpClient: (request) => {
      const body = bodies.get(request.header);
      return client(body === undefined ? request : { ...request, body });
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
