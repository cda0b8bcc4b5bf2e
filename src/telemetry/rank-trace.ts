import { type Attributes, type Context, ROOT_CONTEXT, type SpanContext, type Tracer, trace } from '@opentelemetry/api';
import type { Fault, WorkerContext } from '../../machines/index.ts';
import type { MachineStep } from './machine-steps.ts';
import { endSpan, faultAttributes, type OpenSpan, openSpan, TransitionEvents } from './open-span.ts';
import type { RankNews } from './rank-news.ts';
import { spanContextFrom, traceIdOf } from './traceparent.ts';

interface RankOutage {
  readonly startMs: number;
  readonly fault: Fault | null;
  readonly events: TransitionEvents;
  /** `null` until it is known whose child it is. */
  span: OpenSpan | null;
  /** Made before that, each in a trace of its own. */
  readonly earlyCalls: SpanContext[];
}

/** A rank makes one call before it hears of an outage; more are not worth their memory. */
const MAX_EARLY_CALLS = 8;

/**
 * One rank's part in the scheduler's trace. A rank often sees the end of its link before the scheduler has told of an
 * outage: its span is made when the announcement names the trace, and begins in the past. A rank that recovers alone
 * makes a trace of its own.
 */
export class RankTrace {
  #tracer: Tracer;
  #identity: Attributes;
  /** The scheduler's span, by the newest announcement since this outage began. */
  #announced: Context | null = null;
  #outage: RankOutage | null = null;
  #registration: OpenSpan | null = null;

  constructor(tracer: Tracer, identity: Attributes) {
    this.#tracer = tracer;
    this.#identity = identity;
  }

  /** What is under way in an outage: the parent of the calls that are made for it. */
  get context(): Context | null {
    if (this.#registration !== null) return this.#registration.context;
    return this.#outage === null ? null : (this.#outage.span?.context ?? ROOT_CONTEXT);
  }

  /** A call was begun; one that was made before the outage had a span is linked to it. */
  called(call: SpanContext): void {
    if (this.#outage?.span !== null || this.#outage.earlyCalls.length === MAX_EARLY_CALLS) return;
    this.#outage.earlyCalls.push(call);
  }

  get traceId(): string | undefined {
    const underWay = this.#registration ?? this.#outage?.span;
    return underWay ? traceIdOf(trace.getSpanContext(underWay.context)) : undefined;
  }

  stepped(step: MachineStep<WorkerContext>, news: readonly RankNews[]): void {
    for (const one of news) {
      if (one.type === 'outage.began') {
        const { startMs, fault } = one;
        this.#outage = { startMs, fault, events: new TransitionEvents(), span: null, earlyCalls: [] };
        // Of the outage before.
        this.#announced = null;
      }
    }
    if (step.from !== step.to) this.#outage?.events.add(step);
    for (const one of news) this.#tell(one, step.atMs);
  }

  #tell(news: RankNews, atMs: number): void {
    switch (news.type) {
      case 'announced': {
        const remote = spanContextFrom(news.traceparent);
        this.#announced = remote === null ? null : trace.setSpanContext(ROOT_CONTEXT, remote);
        if (this.#outage !== null && this.#announced !== null) this.#spanOf(this.#outage, this.#announced);
        break;
      }
      case 'registration.began': {
        const { epoch, action, startMs } = news.registration;
        const attributes = { ...this.#identity, 'pegaflow.epoch': epoch, 'pegaflow.generation.action': action };
        const parent = this.#announced ?? this.#outage?.span?.context ?? ROOT_CONTEXT;
        this.#registration = openSpan(this.#tracer, 'pegaflow.rank.registration', parent, startMs, attributes);
        break;
      }
      case 'registration.ended': {
        if (this.#registration === null) break;
        const { outcome, fault } = news;
        const isGood = outcome === 'registered' || outcome === 'kept';
        const attributes = {
          'pegaflow.registration.outcome': outcome,
          ...faultAttributes(isGood ? null : fault),
        };
        endSpan(this.#registration, atMs, attributes, isGood ? undefined : outcome);
        this.#registration = null;
        break;
      }
      case 'outage.ended': {
        if (this.#outage === null) break;
        const span = this.#spanOf(this.#outage, ROOT_CONTEXT);
        this.#outage.events.writeTo(span);
        endSpan(span, atMs, { 'pegaflow.outage.outcome': news.outcome });
        this.#outage = null;
        break;
      }
    }
  }

  #spanOf(outage: RankOutage, parent: Context): OpenSpan {
    if (outage.span !== null) return outage.span;
    const { startMs, fault, earlyCalls } = outage;
    const attributes = { ...this.#identity, ...faultAttributes(fault) };
    outage.span = openSpan(this.#tracer, 'pegaflow.rank.outage', parent, startMs, attributes);
    for (const context of earlyCalls) outage.span.span.addLink({ context });
    return outage.span;
  }
}
