import { connectNodeAdapter } from '@connectrpc/connect-node';
import { GrpcListener, type ListenerOptions } from './grpc-listener.ts';
import { contextValuesFrom, engineRoutes, type RouteDependencies } from './rpc-routes.ts';
import { SESSION_PATH, serveSession } from './session-stream.ts';

/** Both directions; the limit is on the encoded message. */
const MAX_MESSAGE_BYTES = 64 << 20;

export type ServiceDependencies = RouteDependencies & Omit<ListenerOptions, 'onRequest'>;

/** Puts an engine behind a port that is still to be bound. */
export const createGrpcService = (dependencies: ServiceDependencies): GrpcListener => {
  const { log, pingIntervalMs, pingTimeoutMs } = dependencies;
  const answerUnary = connectNodeAdapter({
    routes: engineRoutes(dependencies),
    contextValues: contextValuesFrom,
    grpcWeb: false,
    connect: false,
    acceptCompression: [],
    readMaxBytes: MAX_MESSAGE_BYTES,
    writeMaxBytes: MAX_MESSAGE_BYTES,
  });
  return new GrpcListener({
    onRequest: (request, response) => {
      if (request.url === SESSION_PATH) void serveSession(dependencies, response.stream, request.headers);
      else answerUnary(request, response);
    },
    pingIntervalMs,
    pingTimeoutMs,
    log,
  });
};
