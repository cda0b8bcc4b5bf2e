import { Code, ConnectError, createClient, createRouterTransport } from '@connectrpc/connect';
import { type Context, context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Engine } from '../../../src/gen/pegaflow/engine_pb.ts';
import { instrumentsOf } from '../../../src/telemetry/metrics/instruments.ts';
import { rpcInterceptor } from '../../../src/telemetry/rpc-interceptor.ts';
import { traceparentPropagator } from '../../../src/telemetry/traces/traceparent.ts';
import { TelemetryRecorder } from '../../support/telemetry-recorder.ts';

beforeEach(() => propagation.setGlobalPropagator(traceparentPropagator));
afterEach(() => propagation.disable());

function called() {
  const recorder = new TelemetryRecorder();
  const tracer = recorder.tracerProvider.getTracer('test');
  const headers: Headers[] = [];
  const failures: unknown[] = [];
  let parent: Context | null = null;
  const interceptor = rpcInterceptor({
    tracer,
    duration: instrumentsOf(recorder.meterProvider)['rpc.client.call.duration'],
    server: { 'server.address': 'localhost', 'server.port': 50055 },
    parent: () => parent,
    onFailure: (error) => failures.push(error),
  });
  const transport = createRouterTransport(
    ({ service }) => {
      service(Engine, {
        health: (_, { requestHeader }) => {
          headers.push(requestHeader);
          return {};
        },
        save: () => {
          throw new ConnectError('too late', Code.DeadlineExceeded);
        },
        queryPrefetch: () => {
          throw new ConnectError('storage group 4294967295 out of range', Code.InvalidArgument);
        },
      });
    },
    { transport: { interceptors: [interceptor] } },
  );
  const within = (outage: Context) => {
    parent = outage;
  };
  return { client: createClient(Engine, transport), recorder, tracer, headers, failures, within };
}

describe('a call', () => {
  it('is a client span of the outage it is made for, and the server is told of it', async () => {
    const { client, recorder, tracer, headers, failures, within } = called();
    const outage = tracer.startSpan('outage', {}, ROOT_CONTEXT);
    within(trace.setSpan(ROOT_CONTEXT, outage));
    await client.health({});
    const [span] = (await recorder.collect()).spans;
    expect(span).toMatchObject({
      name: 'pegaflow.Engine/Health',
      traceId: outage.spanContext().traceId,
      parentId: outage.spanContext().spanId,
      isError: false,
      attributes: {
        'rpc.system.name': 'grpc',
        'rpc.method': 'pegaflow.Engine/Health',
        'rpc.status_code': 'OK',
        'server.address': 'localhost',
        'server.port': 50055,
      },
    });
    expect(headers[0]!.get('traceparent')).toBe(`00-${span!.traceId}-${span!.spanId}-01`);
    expect(failures).toEqual([]);
  });

  it('that fails is an error with its status, and fails as before', async () => {
    const { client, recorder } = called();
    await expect(client.save({})).rejects.toMatchObject({ code: Code.DeadlineExceeded, rawMessage: 'too late' });
    const { spans, points } = await recorder.collect();
    const status = { 'rpc.status_code': 'DEADLINE_EXCEEDED', 'error.type': 'DEADLINE_EXCEEDED' };
    expect(spans).toMatchObject([{ isError: true, attributes: status }]);
    expect(points).toMatchObject([{ name: 'rpc.client.call.duration', value: 1, attributes: status }]);
  });

  it('of a query belongs to the span that the application has under way, a probe to nothing', async () => {
    const { client, recorder, tracer } = called();
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    onTestFinished(() => context.disable());
    const request = tracer.startSpan('request');
    await context.with(trace.setSpan(ROOT_CONTEXT, request), async () => {
      await client.health({});
      await expect(client.queryPrefetch({ reqId: 'probe' })).rejects.toThrow();
    });
    const { spans } = await recorder.collect();
    expect(spans.map(({ parentId }) => parentId)).toEqual([request.spanContext().spanId, null]);
  });

  it('carries the trace alone, whatever else the propagators of the application would send', async () => {
    propagation.disable();
    const others = {
      baggage: 'user=alice',
      Baggage: 'user=bob',
      b3: '1-1-1',
      'uberctx-user': 'carol',
      authorization: 'Bearer secret',
    };
    propagation.setGlobalPropagator({
      inject: (_, carrier, setter) => {
        const state = { tracestate: 'vendor=1' };
        for (const [name, value] of Object.entries({ ...others, ...state })) setter.set(carrier, name, value);
        traceparentPropagator.inject(_, carrier, setter);
      },
      extract: (context) => context,
      fields: () => [],
    });
    const { client, headers } = called();
    await client.health({});
    expect(headers[0]!.get('traceparent')).toMatch(/^00-/);
    expect(headers[0]!.get('tracestate')).toBe('vendor=1');
    expect(Object.keys(others).filter((name) => headers[0]!.has(name))).toEqual([]);
  });

  it('leaves out a state of the trace that could make a server refuse its headers', async () => {
    propagation.disable();
    propagation.setGlobalPropagator({
      inject: (_, carrier, setter) => setter.set(carrier, 'tracestate', `vendor=${'x'.repeat(20_000)}`),
      extract: (context) => context,
      fields: () => [],
    });
    const { client, headers } = called();
    await client.health({});
    expect(headers[0]!.has('tracestate')).toBe(false);
  });

  it('that asks for a refusal is no error when it gets one', async () => {
    const { client, recorder } = called();
    await expect(client.queryPrefetch({ reqId: 'probe' })).rejects.toThrow();
    const { spans } = await recorder.collect();
    expect(spans).toMatchObject([
      { isError: false, attributes: { 'pegaflow.rpc.purpose': 'probe', 'rpc.status_code': 'INVALID_ARGUMENT' } },
    ]);
  });
});
