import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { spanContextFrom, traceparentOf, traceparentPropagator } from '../../../../src/telemetry/traces/traceparent.ts';

const TEXT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('a traceparent', () => {
  it('names a span, and comes back as a remote parent', () => {
    const span = spanContextFrom(TEXT);
    expect(span).toEqual({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: 1,
      isRemote: true,
    });
    expect(traceparentOf(span ?? undefined)).toBe(TEXT);
  });

  it.each([
    ['nothing', undefined],
    ['another version', TEXT.replace('00-', '01-')],
    ['no hexadecimal', TEXT.replace('0af7', 'zzzz')],
    ['a trace id of zeros', TEXT.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32))],
    ['too much', `${TEXT}-00`],
  ])('%s is no trace', (_, text) => {
    expect(spanContextFrom(text)).toBeNull();
  });

  it('is not made of the span of a tracer without an SDK', () => {
    expect(traceparentOf(trace.getTracer('none').startSpan('none').spanContext())).toBeUndefined();
  });

  it('travels in headers', () => {
    const headers = new Headers();
    const set = { set: (carrier: Headers, key: string, value: string) => carrier.set(key, value) };
    const get = {
      get: (carrier: Headers, key: string) => carrier.get(key) ?? undefined,
      keys: (carrier: Headers) => [...carrier.keys()],
    };
    const parent = trace.setSpanContext(ROOT_CONTEXT, spanContextFrom(TEXT)!);
    traceparentPropagator.inject(parent, headers, set);
    expect(headers.get('traceparent')).toBe(TEXT);
    expect(trace.getSpanContext(traceparentPropagator.extract(ROOT_CONTEXT, headers, get))).toEqual(
      spanContextFrom(TEXT),
    );
    expect(traceparentPropagator.extract(ROOT_CONTEXT, new Headers(), get)).toBe(ROOT_CONTEXT);
  });
});
