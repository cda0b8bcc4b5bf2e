import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { HandlerContext } from '@connectrpc/connect';
import { createContextKey, createContextValues } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { GrpcCall } from '../../src/engine/grpc/grpc-call.ts';
import type { ServeGrpc } from '../../src/engine/grpc/grpc-service.ts';
import { createUnaryHandlers } from '../../src/engine/grpc/rpc-routes.ts';
import { serveSession } from '../../src/engine/grpc/session-stream.ts';
import { Engine } from '../../src/gen/pegaflow/engine_pb.ts';

const MAX_MESSAGE_BYTES = 64 << 20;

const requestKey = createContextKey<Http2ServerRequest | null>(null);

/**
 * Another implementation of gRPC in front of the same engine, for clients that must not get used to ours. Its Session is
 * the engine's own: connect-node holds the headers back until there is a message, and there never is one.
 */
export const serveThroughConnectNode: ServeGrpc = (server, dependencies) => {
  const handlers = createUnaryHandlers(dependencies);
  const answerUnary = connectNodeAdapter({
    routes: (router) => {
      const unary = Object.entries(handlers).map(([name, handler]) => [
        name,
        (request: never, context: HandlerContext) => handler(request, callerFrom(context)),
      ]);
      router.service(Engine, Object.fromEntries(unary));
    },
    contextValues: (request) => createContextValues().set(requestKey, request as Http2ServerRequest),
    grpcWeb: false,
    connect: false,
    acceptCompression: [],
    readMaxBytes: MAX_MESSAGE_BYTES,
    writeMaxBytes: MAX_MESSAGE_BYTES,
  });
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    const { stream, headers, url } = request;
    if (url === `/${Engine.typeName}/${Engine.method.session.name}`) {
      void serveSession(dependencies, new GrpcCall(stream, headers, dependencies.log));
    } else {
      answerUnary(request, response);
    }
  });
};

const callerFrom = ({ requestHeader, signal, values }: HandlerContext) => ({
  headers: Object.fromEntries(requestHeader),
  signal,
  dropConnection: () => values.get(requestKey)?.stream.session?.destroy(),
});
