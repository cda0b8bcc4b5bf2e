import type { Interceptor } from '@connectrpc/connect';
import {
  type Attributes,
  createNoopMeter,
  type MeterProvider,
  metrics,
  ProxyTracerProvider,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import type { InspectionEvent } from 'xstate';
import type { Budgets, SchedulerContext, WorkerContext } from '../../machines/index.ts';
import { packageVersion } from '../package-version.ts';
import { redacted } from '../redacted.ts';
import type { EventTimes, SchedulerConnectorEvent, WorkerConnectorEvent } from './event-times.ts';
import { attempt, guarded, guardedLogger } from './guarded.ts';
import { LifecycleLog } from './logs/lifecycle-log.ts';
import { logTable } from './logs/log-table.ts';
import type { Logger } from './logs/logger.ts';
import { machineSteps } from './machine-steps.ts';
import { type Instruments, instrumentsOf, SCOPE } from './metrics/instruments.ts';
import { QueryMetrics } from './metrics/query-metrics.ts';
import { SchedulerMetrics } from './metrics/scheduler-metrics.ts';
import { WorkerMetrics } from './metrics/worker-metrics.ts';
import type { ConnectionObserver, QueryRecord, SchedulerObserver, WorkerObserver } from './observers.ts';
import { type RpcTelemetry, rpcInterceptor } from './rpc-interceptor.ts';
import { RankTrace } from './traces/rank-trace.ts';
import { SchedulerTrace } from './traces/scheduler-trace.ts';

/** Where a connector tells what it does. Nothing that goes wrong there reaches the connector. */
export interface TelemetryOptions {
  /** Default: the provider registered with `@opentelemetry/api` when the connector is constructed, if any. */
  readonly meterProvider?: MeterProvider;
  /** Default: the provider registered with `@opentelemetry/api`, if any. */
  readonly tracerProvider?: TracerProvider;
  /** A pino logger, or `console`. Default: nothing is logged. */
  readonly logger?: Logger;
}

export interface TelemetrySubject extends TelemetryOptions {
  readonly endpoint: string;
  readonly instanceId: string;
  readonly budgets: Budgets;
  readonly times: EventTimes;
}

/** What one half of a connector gives its events to. */
export interface ConnectorTelemetry<Observer extends ConnectionObserver, Event> {
  /** For the machine's actor. */
  readonly inspect: (event: InspectionEvent) => void;
  /** For its calls. */
  readonly interceptor: Interceptor;
  /** For what the machine emits. Never throws. */
  readonly happened: (event: Event) => void;
  /** For what no machine knows. Never throws. */
  readonly observer: Observer;
}

export interface SchedulerTelemetry extends ConnectorTelemetry<SchedulerObserver, SchedulerConnectorEvent> {
  /** Names the trace under way for the ranks; `undefined` without one. */
  readonly traceparent: () => string | undefined;
}

export function schedulerTelemetry(subject: TelemetrySubject): SchedulerTelemetry {
  const backend = new Backend(subject);
  const { instruments, tracer, identity, fail } = backend;
  const spans = new SchedulerTrace(tracer, identity);
  const traceId = () => attempt(fail, () => spans.traceId);
  const log = backend.log(null, traceId);
  const measure = guarded(new SchedulerMetrics(instruments, identity), fail);
  return {
    inspect: machineSteps<SchedulerContext>((step) => {
      measure.stepped(step);
      attempt(fail, () => spans.stepped(step));
      log?.stepped(step, step.context.announcement.epoch.counter);
    }, subject.times.stepMs),
    interceptor: backend.interceptor({ parent: () => spans.context }),
    happened: (event) => {
      measure.happened(event);
      // It may end the trace that the line belongs to.
      log?.schedulerHappened(event);
      attempt(fail, () => spans.happened(event));
    },
    observer: {
      queried: measure.queried,
      fenced: measure.fenced,
      stalled: (stallMs) => {
        measure.stalled(stallMs);
        log?.stalled(stallMs);
      },
      refusedInUnknownWords: (fault) => log?.refusedInUnknownWords(fault),
    },
    traceparent: () => attempt(fail, () => spans.traceparent),
  };
}

export function workerTelemetry(
  subject: TelemetrySubject,
  rank: number,
): ConnectorTelemetry<WorkerObserver, WorkerConnectorEvent> {
  const backend = new Backend(subject);
  const { instruments, tracer, fail } = backend;
  const identity = { ...backend.identity, 'pegaflow.rank': rank };
  const spans = new RankTrace(tracer, identity);
  const traceId = () => attempt(fail, () => spans.traceId);
  const log = backend.log(rank, traceId);
  const measure = guarded(new WorkerMetrics(instruments, identity), fail);
  return {
    inspect: machineSteps<WorkerContext>((step) => {
      measure.stepped(step);
      attempt(fail, () => spans.stepped(step));
      log?.stepped(step, step.context.announcement?.epoch.counter ?? 0);
    }, subject.times.stepMs),
    interceptor: backend.interceptor({ parent: () => spans.context, called: (span) => spans.called(span) }),
    happened: (event) => {
      measure.happened(event);
      // It may end the trace that the line belongs to.
      log?.rankHappened(event);
      attempt(fail, () => spans.happened(event));
    },
    observer: {
      ...measure,
      stalled: (stallMs) => {
        measure.stalled(stallMs);
        log?.stalled(stallMs);
      },
      refusedInUnknownWords: (fault) => log?.refusedInUnknownWords(fault),
      releasedUnsafely: (release) => {
        measure.releasedUnsafely(release);
        log?.releasedUnsafely(release);
      },
    },
  };
}

/**
 * For a connector whose queries are answered by several servers together. What it returns never throws; `state` is that
 * of the shard which is worst off.
 */
export function shardedQueryTelemetry(
  options: TelemetryOptions & { readonly instanceId: string },
): (query: QueryRecord, state: string) => void {
  const fail = onceTo(options.logger, options.instanceId);
  const identity = { 'pegaflow.instance.id': options.instanceId };
  return guarded(new QueryMetrics(instrumentsFor(options, fail), identity), fail).queried;
}

/** What the halves share: where things go, and what happens when that throws. */
class Backend {
  readonly identity: Attributes;
  readonly instruments: Instruments;
  readonly tracer: Tracer;
  readonly fail: (error: unknown) => void;
  #subject: TelemetrySubject;

  constructor(subject: TelemetrySubject) {
    this.#subject = subject;
    const { instanceId, logger, endpoint } = subject;
    this.identity = { 'pegaflow.instance.id': instanceId, ...serverAttributes(endpoint) };
    this.fail = onceTo(logger, instanceId);
    const { tracerProvider = trace.getTracerProvider() } = subject;
    this.instruments = instrumentsFor(subject, this.fail);
    const tracer = attempt(this.fail, () => tracerProvider.getTracer(SCOPE, packageVersion()));
    this.tracer = tracer ?? new ProxyTracerProvider().getTracer(SCOPE);
  }

  log(rank: number | null, traceId: () => string | undefined) {
    const { instanceId, endpoint, budgets } = this.#subject;
    if (this.#subject.logger === undefined) return null;
    const logger = guardedLogger(this.#subject.logger, this.fail);
    const repeatWindowMs = budgets.logRepeatWindowMs;
    return guarded(new LifecycleLog({ logger, repeatWindowMs, instanceId, endpoint, rank, traceId }), this.fail);
  }

  interceptor(trace: Pick<RpcTelemetry, 'parent' | 'called'>): Interceptor {
    const { tracer, fail: onFailure } = this;
    const duration = this.instruments['rpc.client.call.duration'];
    return rpcInterceptor({ tracer, duration, server: serverAttributes(this.#subject.endpoint), onFailure, ...trace });
  }
}

function instrumentsFor(
  { meterProvider = metrics.getMeterProvider() }: TelemetryOptions,
  fail: (error: unknown) => void,
): Instruments {
  return attempt(fail, () => instrumentsOf(meterProvider)) ?? instrumentsOf(noMeters);
}

const noMeters: MeterProvider = { getMeter: () => createNoopMeter() };

function serverAttributes(endpoint: string): Attributes {
  const { hostname, port } = new URL(endpoint);
  return { 'server.address': hostname.replace(/^\[|\]$/g, ''), 'server.port': Number(port || 80) };
}

/** Tells of the first failure alone: a broken backend breaks at every event. */
function onceTo(logger: Logger | undefined, instance: string): (error: unknown) => void {
  // Where the logger is what is broken, nobody hears of it.
  const quiet = logger && guardedLogger(logger, () => {});
  let hasFailed = false;
  return (error) => {
    if (hasFailed) return;
    hasFailed = true;
    const { level, message } = logTable.telemetryFailed;
    quiet?.[level]({ instance, error: redacted(String(error)) }, message);
  };
}
