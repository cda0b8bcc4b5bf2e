import { type Code, ConnectError, type Interceptor, type StreamRequest, type UnaryRequest } from '@connectrpc/connect';
import {
  type Attributes,
  type Context,
  context as contexts,
  type Histogram,
  propagation,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { grpcStatusName } from '../grpc-status-name.ts';
import { wallTimeMs } from '../wall-time.ts';
import { attempt } from './guarded.ts';

export interface RpcTelemetry {
  readonly tracer: Tracer;
  readonly duration: Histogram;
  /** `server.address` and `server.port`. */
  readonly server: Attributes;
  /** The outage that a call is made for; `null`: it belongs to what the application has under way. */
  readonly parent: () => Context | null;
  /** Told of the span of each call. */
  readonly called?: (span: SpanContext) => void;
  readonly onFailure: (error: unknown) => void;
}

type Request = UnaryRequest | StreamRequest;

/** Ends what was begun for a call; `null` is OK. */
type EndCall = (code: Code | null) => void;

/**
 * A client span and a duration for each call, by the RPC conventions of OpenTelemetry's semantic conventions 1.45, with
 * the trace in the metadata. The span of a stream ends with its headers. A backend that throws does not touch the call.
 */
export function rpcInterceptor(telemetry: RpcTelemetry): Interceptor {
  const { onFailure } = telemetry;
  return (next) => (request) => {
    const call = attempt(onFailure, () => begin(telemetry, request));
    const end: EndCall = (code) => attempt(onFailure, () => call?.(code));
    return next(request).then(
      (response) => {
        end(null);
        return response;
      },
      (error) => {
        end(ConnectError.from(error).code);
        throw error;
      },
    );
  };
}

function begin({ tracer, duration, server, parent, called }: RpcTelemetry, request: Request): EndCall {
  const { method, header, stream } = request;
  const name = `${method.parent.typeName}/${method.name}`;
  const isProbe = !stream && isProbeMessage(request.message);
  const attributes = {
    'rpc.system.name': 'grpc',
    'rpc.method': name,
    'pegaflow.rpc.purpose': isProbe ? 'probe' : 'call',
    ...server,
  };
  const startMs = wallTimeMs();
  const within = parent() ?? contexts.active();
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, startTime: startMs, attributes }, within);
  called?.(span.spanContext());
  propagation.inject(trace.setSpan(within, span), header, { set: (carrier, key, value) => carrier.set(key, value) });
  return (code) => {
    const endMs = wallTimeMs();
    const status = {
      'rpc.status_code': grpcStatusName(code),
      ...(code === null ? {} : { 'error.type': grpcStatusName(code) }),
    };
    span.setAttributes(status);
    if (code !== null && !isProbe) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(endMs);
    if (!stream) duration.record((endMs - startMs) / 1000, { ...attributes, ...status });
  };
}

/** Surveys and version probes ask for a refusal: it is their answer. */
function isProbeMessage(message: object): boolean {
  return (
    ('reqId' in message && message.reqId === 'probe') || ('clientVersion' in message && message.clientVersion === '')
  );
}
