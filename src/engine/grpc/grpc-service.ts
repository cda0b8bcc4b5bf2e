import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { DescMessage } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { Engine as EngineService } from '../../gen/pegaflow/engine_pb.ts';
import { GrpcCall } from './grpc-call.ts';
import { MAX_HEADER_LIST_BYTES } from './grpc-listener.ts';
import { createUnaryHandlers, type RouteDependencies, type UnaryHandler, type UnaryMethod } from './rpc-routes.ts';
import { serveSession } from './session-stream.ts';

/** Puts gRPC on an HTTP/2 server that is still to be connected. */
export type ServeGrpc = (server: Http2Server, dependencies: RouteDependencies) => void;

const HEADER_OVERHEAD_BYTES = 32;

const REQUEST_HEADER_FIELDS_TOO_LARGE = 431;

/** Serves the engine without an RPC framework, which could not answer as the server does, and would cost more than a query. */
export const serveGrpc: ServeGrpc = (server, dependencies) => {
  const routes = routesOf(dependencies);
  // Not `request`: for that Node makes two compatibility objects per stream.
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _: number, rawHeaders: string[]) => {
    const call = new GrpcCall(stream, headers, dependencies.log);
    if (headerListBytes(rawHeaders) > MAX_HEADER_LIST_BYTES) call.refuseWithHttpStatus(REQUEST_HEADER_FIELDS_TOO_LARGE);
    else dispatch(routes, call);
  });
};

type Route = (call: GrpcCall) => Promise<void>;

const servicePath = `/${EngineService.typeName}/`;

/** The method of a request and its content type are never looked at, nor is a query behind the path. */
const dispatch = (routes: ReadonlyMap<string, Route>, call: GrpcCall): void => {
  const { ':path': path = '', 'grpc-encoding': encoding = 'identity' } = call.headers;
  const queryStart = path.indexOf('?');
  const route = routes.get(queryStart < 0 ? path : path.slice(0, queryStart));
  if (route === undefined) call.refuse(unknownRoute(path));
  else if (encoding !== 'identity') call.refuse(unknownEncoding(encoding));
  else void route(call);
};

const unknownRoute = (path: string): ConnectError => {
  const isOfService = path.startsWith(servicePath) && path !== servicePath;
  return new ConnectError('', Code.Unimplemented, isOfService ? {} : { 'content-length': '0' });
};

const unknownEncoding = (encoding: string | string[]): ConnectError =>
  new ConnectError(`Content is compressed with \`${encoding}\` which isn't supported`, Code.Unimplemented, {
    'grpc-accept-encoding': 'identity',
  });

const routesOf = (dependencies: RouteDependencies): ReadonlyMap<string, Route> => {
  const handlers = createUnaryHandlers(dependencies);
  const routes = new Map<string, Route>();
  for (const [method, handler] of Object.entries(handlers)) {
    const { name, input, output } = EngineService.method[method as UnaryMethod];
    routes.set(servicePath + name, (call) => serveUnary(handler, input, output, call));
  }
  routes.set(servicePath + EngineService.method.session.name, (call) => serveSession(dependencies, call));
  return routes;
};

const serveUnary = async (
  handler: UnaryHandler,
  input: DescMessage,
  output: DescMessage,
  call: GrpcCall,
): Promise<void> => {
  try {
    const request = await call.receive(input);
    const answered = handler(request, call);
    call.answer(output, answered instanceof Promise ? await answered : answered);
  } catch (error) {
    call.refuse(error);
  }
};

const headerListBytes = (rawHeaders: readonly string[]): number => {
  let sizeBytes = (rawHeaders.length / 2) * HEADER_OVERHEAD_BYTES;
  for (const text of rawHeaders) sizeBytes += text.length;
  return sizeBytes;
};
