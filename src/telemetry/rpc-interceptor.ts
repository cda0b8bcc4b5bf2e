import { type Code, ConnectError, type Interceptor, type StreamRequest, type UnaryRequest } from '@connectrpc/connect';
import {
  type Attributes,
  type Context,
  context as contexts,
  type Histogram,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type Span,
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

/** Calls of one method that are alike but for how they end. A call makes no attributes of its own. */
interface CallKind {
  readonly name: string;
  readonly isProbe: boolean;
  readonly attributes: Attributes;
  /** With the status; `null` is OK. */
  readonly ended: Map<Code | null, Attributes>;
}

interface Call {
  readonly kind: CallKind;
  readonly span: Span;
  readonly startMs: number;
}

/**
 * A client span and a duration for each call, by the RPC conventions of OpenTelemetry's semantic conventions 1.45, with
 * the trace in the metadata. The span of a stream ends with its headers. A backend that throws does not touch the call.
 */
export function rpcInterceptor(telemetry: RpcTelemetry): Interceptor {
  const { onFailure, server } = telemetry;
  const kinds = new Map<string, CallKind>();
  const kindOf = (request: Request): CallKind => {
    const isProbe = !request.stream && isProbeMessage(request.message);
    const key = isProbe ? `${request.method.name} probe` : request.method.name;
    const known = kinds.get(key);
    if (known !== undefined) return known;
    const kind = callKind(request, isProbe, server);
    kinds.set(key, kind);
    return kind;
  };
  return (next) => (request) => {
    const call = attempt(onFailure, () => begin(telemetry, request, kindOf(request)));
    if (call === undefined) return next(request);
    return next(request).then(
      (response) => {
        attempt(onFailure, () => end(telemetry, request, call, null));
        return response;
      },
      (error) => {
        attempt(onFailure, () => end(telemetry, request, call, ConnectError.from(error).code));
        throw error;
      },
    );
  };
}

function callKind({ method }: Request, isProbe: boolean, server: Attributes): CallKind {
  const name = `${method.parent.typeName}/${method.name}`;
  const purpose = isProbe ? 'probe' : 'call';
  const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': name, 'pegaflow.rpc.purpose': purpose, ...server };
  return { name, isProbe, attributes, ended: new Map() };
}

function begin({ tracer, parent, called }: RpcTelemetry, { header }: Request, kind: CallKind): Call {
  const startMs = wallTimeMs();
  // A probe is our own affair: its timer may have been set within a span of the application that ended long ago.
  const within = parent() ?? (kind.isProbe ? ROOT_CONTEXT : contexts.active());
  const options = { kind: SpanKind.CLIENT, startTime: startMs, attributes: kind.attributes };
  const span = tracer.startSpan(kind.name, options, within);
  const context = span.spanContext();
  if (isSpanContextValid(context)) {
    called?.(context);
    propagation.inject(trace.setSpan(within, span), header, headerSetter);
  }
  return { kind, span, startMs };
}

function end({ duration }: RpcTelemetry, { stream }: Request, { kind, span, startMs }: Call, code: Code | null): void {
  const endMs = wallTimeMs();
  const attributes = endedAttributes(kind, code);
  if (span.isRecording()) {
    span.setAttributes(attributes);
    if (code !== null && !kind.isProbe) span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end(endMs);
  if (!stream) duration.record((endMs - startMs) / 1000, attributes);
}

function endedAttributes({ ended, attributes }: CallKind, code: Code | null): Attributes {
  const known = ended.get(code);
  if (known !== undefined) return known;
  const status = grpcStatusName(code);
  const made = { ...attributes, 'rpc.status_code': status, ...(code === null ? {} : { 'error.type': status }) };
  ended.set(code, made);
  return made;
}

/** W3C Trace Context: what a server needs in order to join the trace. */
const TRACE_HEADERS = ['traceparent', 'tracestate'];
/** Bytes that W3C asks everybody to pass on; longer ones may count against the server's limit on headers. */
const MAX_TRACE_HEADER_BYTES = 512;

/** Of what the application's propagators would send, the trace alone: its baggage is no business of the server's. */
const headerSetter = {
  set: (header: Headers, key: string, value: string) => {
    if (TRACE_HEADERS.includes(key.toLowerCase()) && value.length <= MAX_TRACE_HEADER_BYTES) header.set(key, value);
  },
};

/** Surveys and version probes ask for a refusal: it is their answer. */
function isProbeMessage(message: object): boolean {
  return (
    ('reqId' in message && message.reqId === 'probe') || ('clientVersion' in message && message.clientVersion === '')
  );
}
