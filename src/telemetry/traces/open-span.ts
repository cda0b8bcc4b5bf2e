import { type Attributes, type Context, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import type { Fault } from '../../../machines/index.ts';
import { redacted } from '../../redacted.ts';
import type { MachineStep } from '../machine-steps.ts';

/** A span under way, and the context in which its children begin. */
export interface OpenSpan {
  readonly span: Span;
  readonly context: Context;
}

/** Begins a span at a moment of wall time, in milliseconds. */
export function openSpan(
  tracer: Tracer,
  name: string,
  parent: Context,
  startMs: number,
  attributes: Attributes,
): OpenSpan {
  const span = tracer.startSpan(name, { startTime: startMs, attributes }, parent);
  return { span, context: trace.setSpan(parent, span) };
}

/** Ends it. `complaint` marks it as failed. */
export function endSpan({ span }: OpenSpan, endMs: number, attributes: Attributes, complaint?: string): void {
  span.setAttributes(attributes);
  if (complaint !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: complaint });
  span.end(endMs);
}

/** What went wrong, without what must not leave this process. */
export function faultAttributes(fault: Fault | null): Attributes {
  if (fault === null) return {};
  return { 'pegaflow.fault.kind': fault.kind, 'pegaflow.fault.message': redacted(fault.message) };
}

/** One span takes no more events than this; SDKs drop what is beyond their own limit of 128. */
const MAX_EVENTS = 64;

/** The transitions that one span tells as events, up to a limit; what is beyond is counted. */
export class TransitionEvents {
  #told: { readonly attributes: Attributes; readonly atMs: number }[] = [];
  #omitted = 0;

  add({ from, to, event, guard, atMs }: Pick<MachineStep<unknown>, 'from' | 'to' | 'event' | 'guard' | 'atMs'>): void {
    if (this.#told.length === MAX_EVENTS) {
      this.#omitted += 1;
      return;
    }
    const attributes = {
      'pegaflow.event': event,
      'pegaflow.from': from,
      'pegaflow.to': to,
      ...(guard === null ? {} : { 'pegaflow.guard': guard }),
    };
    this.#told.push({ attributes, atMs });
  }

  /** Writes them to the span that is about to end. */
  writeTo({ span }: OpenSpan): void {
    for (const { attributes, atMs } of this.#told) span.addEvent('pegaflow.transition', attributes, atMs);
    if (this.#omitted > 0) span.setAttribute('pegaflow.transitions.omitted', this.#omitted);
  }
}
