import { Code } from '@connectrpc/connect';
import { propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { grpcStatusName } from '../../grpc-status-name.ts';
import type { CallHeaders } from './grpc-call.ts';

const headerGetter = {
  get: (headers: CallHeaders, key: string) => headers[key] as string | string[] | undefined,
  keys: (headers: CallHeaders) => Object.keys(headers),
};

/** Begins the server's span of a call, by the RPC conventions, in the trace that its metadata name. */
export const beginRpcSpan = (rpcMethod: string, headers: CallHeaders): Span => {
  const parent = propagation.extract(ROOT_CONTEXT, headers, headerGetter);
  const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': rpcMethod };
  return trace.getTracer('pegaflow-engine').startSpan(rpcMethod, { kind: SpanKind.SERVER, attributes }, parent);
};

/** What the conventions count as the server's fault; other refusals are what it meant to say. */
const serverErrors: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** `null` is OK. */
export const endRpcSpan = (span: Span, code: Code | null): void => {
  span.setAttribute('rpc.status_code', grpcStatusName(code));
  if (code !== null && serverErrors.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
};
