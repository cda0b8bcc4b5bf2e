import { type Attributes, type Context, ROOT_CONTEXT, type SpanContext, type Tracer, trace } from '@opentelemetry/api';
import type { Announcement, Fault, RankRegistration, WorkerContext } from '../../../machines/index.ts';
import type { WorkerConnectorEvent } from '../event-times.ts';
import type { MachineStep } from '../machine-steps.ts';
import { endSpan, faultAttributes, type OpenSpan, openSpan, TransitionEvents } from './open-span.ts';
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
  #ended: { readonly span: OpenSpan; readonly endMs: number }[] = [];

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

  /** Spans begin with the step: what the step calls belongs to them. */
  stepped(step: MachineStep<WorkerContext>): void {
    const { context, before, atMs, from, to } = step;
    if (context.isOutOfService && before?.isOutOfService !== true) {
      const { fault } = context;
      this.#outage = { startMs: atMs, fault, events: new TransitionEvents(), span: null, earlyCalls: [] };
      // Of the outage before.
      this.#announced = null;
    }
    if (from !== to) this.#outage?.events.add(step);
    const { announcement, registration } = context;
    if (announcement !== null && announcement !== before?.announcement) this.#hear(announcement);
    if (registration !== (before?.registration ?? null)) this.#register(registration, atMs);
  }

  /** They end with what came of them, which the machine tells after the step. */
  happened(event: WorkerConnectorEvent): void {
    if (event.type === 'registration.ended') {
      const { registration, outcome, fault, atMs } = event;
      const ended = this.#ended.shift() ?? { span: this.#open(registration, atMs), endMs: atMs };
      const isGood = outcome === 'registered' || outcome === 'kept';
      const attributes = { 'pegaflow.registration.outcome': outcome, ...faultAttributes(isGood ? null : fault) };
      endSpan(ended.span, ended.endMs, attributes, isGood ? undefined : outcome);
    } else if (event.type === 'outage.ended' && this.#outage !== null) {
      const span = this.#spanOf(this.#outage, ROOT_CONTEXT);
      this.#outage.events.writeTo(span);
      endSpan(span, event.atMs, { 'pegaflow.outage.outcome': event.outcome });
      this.#outage = null;
    }
  }

  #hear({ traceparent }: Announcement): void {
    const remote = spanContextFrom(traceparent);
    this.#announced = remote === null ? null : trace.setSpanContext(ROOT_CONTEXT, remote);
    if (this.#outage !== null && this.#announced !== null) this.#spanOf(this.#outage, this.#announced);
  }

  #register(registration: RankRegistration | null, atMs: number): void {
    if (this.#registration !== null) this.#ended.push({ span: this.#registration, endMs: atMs });
    this.#registration = registration === null ? null : this.#open(registration, atMs);
  }

  #open({ epoch, action }: RankRegistration, atMs: number): OpenSpan {
    const attributes = { ...this.#identity, 'pegaflow.epoch': epoch, 'pegaflow.generation.action': action };
    const parent = this.#announced ?? this.#outage?.span?.context ?? ROOT_CONTEXT;
    return openSpan(this.#tracer, 'pegaflow.rank.registration', parent, atMs, attributes);
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
