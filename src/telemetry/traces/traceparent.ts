import {
  type Context,
  isSpanContextValid,
  type SpanContext,
  type TextMapPropagator,
  TraceFlags,
  trace,
} from '@opentelemetry/api';

/** The header of W3C Trace Context, which announcements carry under the same name. */
const HEADER = 'traceparent';
const FORMAT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** `undefined` where there is no trace to name. */
export function traceparentOf(span: SpanContext | undefined): string | undefined {
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}

/** `undefined` where there is no trace: without an SDK every span is one of zeros. */
export function traceIdOf(span: SpanContext | undefined): string | undefined {
  return span !== undefined && isSpanContextValid(span) ? span.traceId : undefined;
}

/** The span that `text` names, as a remote parent; `null` where it names none. */
export function spanContextFrom(text: string | undefined): SpanContext | null {
  const [, traceId, spanId, flags] = FORMAT.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined) return null;
  const traceFlags = Number.parseInt(flags ?? '0', 16) & TraceFlags.SAMPLED;
  const span = { traceId, spanId, traceFlags, isRemote: true };
  return isSpanContextValid(span) ? span : null;
}

/** Carries the trace in gRPC metadata; what an application without propagators of its own registers. */
export const traceparentPropagator: TextMapPropagator = {
  inject(context: Context, carrier: unknown, setter): void {
    const text = traceparentOf(trace.getSpanContext(context));
    if (text !== undefined) setter.set(carrier, HEADER, text);
  },
  extract(context: Context, carrier: unknown, getter): Context {
    const value = getter.get(carrier, HEADER);
    const span = spanContextFrom(typeof value === 'string' ? value : undefined);
    return span === null ? context : trace.setSpanContext(context, span);
  },
  fields: () => [HEADER],
};
