import { type Attributes, type Context, ROOT_CONTEXT, type Tracer } from '@opentelemetry/api';
import {
  dialEndedBy,
  type EndedOutage,
  type Generation,
  isDialing,
  type Outage,
  type SchedulerContext,
  stateOf,
} from '../../../machines/index.ts';
import type { SchedulerConnectorEvent } from '../event-times.ts';
import type { MachineStep } from '../machine-steps.ts';
import { endSpan, faultAttributes, type OpenSpan, openSpan, TransitionEvents } from './open-span.ts';
import { traceIdOf, traceparentOf } from './traceparent.ts';

/** A state that lasts longer is told in slices, or an outage of an hour would be invisible for an hour. */
const SLICE_MS = 10_000;
/** Visits of one path in one outage that have a span of their own; of dials there may be many thousand. */
const MAX_VISITS = 16;

interface StateSpan extends OpenSpan {
  readonly state: string;
  readonly startMs: number;
  readonly slice: number;
  readonly events: TransitionEvents;
}

interface OutageSpans {
  readonly root: OpenSpan;
  state: StateSpan | null;
  step: OpenSpan | null;
  stepStartMs: number;
  generation: OpenSpan | null;
  readonly visits: Map<string, number>;
  omitted: number;
}

type Step = MachineStep<SchedulerContext>;

/**
 * One trace per outage: below the root one span for each state, which follow each other without a gap, in them the dials
 * and the other steps, and beside them one span for each generation, whose children are the ranks'.
 */
export class SchedulerTrace {
  #tracer: Tracer;
  #identity: Attributes;
  #spans: OutageSpans | null = null;
  /** Of an outage that is over, until it is told what came of it. */
  #ending: { readonly spans: OutageSpans; readonly endMs: number } | null = null;
  #endedGenerations: { readonly span: OpenSpan; readonly endMs: number }[] = [];

  constructor(tracer: Tracer, identity: Attributes) {
    this.#tracer = tracer;
    this.#identity = identity;
  }

  /** What is under way in an outage: the parent of the calls that are made for it. */
  get context(): Context | null {
    const { step, state, root } = this.#spans ?? {};
    return (step ?? state ?? root)?.context ?? null;
  }

  get traceId(): string | undefined {
    return traceIdOf((this.#ending?.spans ?? this.#spans)?.root.span.spanContext());
  }

  /** What the ranks' own spans belong to, as announcements carry it. */
  get traceparent(): string | undefined {
    const { generation, root } = this.#spans ?? {};
    return traceparentOf((generation ?? root)?.span.spanContext());
  }

  /** Spans begin with the step: what the step calls belongs to them. */
  stepped(step: Step): void {
    const { context, before, from, to, atMs } = step;
    const isOver = context.outage === null;
    if (!isOver && (before?.outage ?? null) === null) this.#begin(context.outage, atMs);
    const spans = this.#spans;
    if (spans === null) return;
    if (from !== to) this.#move(spans, step, isOver);
    if (context.generation !== (before?.generation ?? null)) this.#moveGeneration(spans, context.generation, atMs);
    if (!isOver) return;
    this.#ending = { spans, endMs: atMs };
    this.#spans = null;
  }

  /** They end with what came of them, which the machine tells after the step. */
  happened(event: SchedulerConnectorEvent): void {
    if (event.type === 'generation.ended') {
      const ended = this.#endedGenerations.shift();
      if (ended === undefined) return;
      const { outcome, fault } = event;
      const attributes = { 'pegaflow.generation.outcome': outcome, ...faultAttributes(fault) };
      endSpan(ended.span, ended.endMs, attributes, outcome === 'failed' ? 'failed' : undefined);
    } else if (event.type === 'outage.ended' && this.#ending !== null) {
      this.#end(this.#ending.spans, this.#ending.endMs, event.outage);
      this.#ending = null;
    }
  }

  #begin({ cause, fault, epochBefore }: Outage, startMs: number): void {
    const name = cause === 'start' ? 'pegaflow.first_connection' : 'pegaflow.outage';
    const root = openSpan(this.#tracer, name, ROOT_CONTEXT, startMs, {
      ...this.#identity,
      'pegaflow.outage.cause': cause,
      'pegaflow.epoch.before': epochBefore,
      ...faultAttributes(fault),
    });
    this.#spans = { root, state: null, step: null, stepStartMs: 0, generation: null, visits: new Map(), omitted: 0 };
  }

  #move(spans: OutageSpans, step: Step, isOver: boolean): void {
    const { to, atMs } = step;
    this.#endStep(spans, step);
    const entered = stateOf(to);
    this.#moveState(spans, step, isOver ? null : entered);
    if (isOver || to === entered) return;
    const visits = (spans.visits.get(to) ?? 0) + 1;
    spans.visits.set(to, visits);
    spans.stepStartMs = atMs;
    if (visits <= MAX_VISITS) spans.step = this.#openStep(spans, to);
    else spans.omitted += 1;
  }

  #endStep(spans: OutageSpans, { from, to, cause, atMs }: Step): void {
    const outcome = dialEndedBy(from, to, cause);
    // The dial that was answered is worth a span, however many were refused before.
    if (outcome === 'opened' && spans.step === null) {
      spans.step = this.#openStep(spans, from);
      spans.omitted -= 1;
    }
    if (spans.step === null) return;
    const attributes = outcome === null ? {} : { 'pegaflow.dial.outcome': outcome };
    endSpan(spans.step, atMs, attributes, outcome === null || outcome === 'opened' ? undefined : outcome);
    spans.step = null;
  }

  #openStep(spans: OutageSpans, path: string): OpenSpan {
    const name = isDialing(path) ? 'pegaflow.dial' : 'pegaflow.step';
    return this.#open(name, spans.state ?? spans.root, spans.stepStartMs, { 'pegaflow.path': path });
  }

  #moveState(spans: OutageSpans, step: Step, entered: string | null): void {
    const { state, root } = spans;
    const { atMs } = step;
    const events = state?.events ?? new TransitionEvents();
    events.add(step);
    if (state === null) events.writeTo(root);
    const isSame = state !== null && state.state === entered;
    if (isSame && atMs - state.startMs < SLICE_MS) return;
    if (state !== null) {
      state.events.writeTo(state);
      endSpan(state, atMs, {});
    }
    if (entered === null) {
      spans.state = null;
      return;
    }
    const slice = isSame ? state.slice + 1 : 0;
    const attributes = { 'pegaflow.state': entered, 'pegaflow.state.slice': slice };
    const open = this.#open(`pegaflow.state ${entered}`, root, atMs, attributes);
    spans.state = { ...open, state: entered, startMs: atMs, slice, events: new TransitionEvents() };
  }

  #moveGeneration(spans: OutageSpans, generation: Generation | null, atMs: number): void {
    if (spans.generation !== null) this.#endedGenerations.push({ span: spans.generation, endMs: atMs });
    spans.generation = null;
    if (generation === null) return;
    const { epoch, action } = generation;
    const attributes = { ...this.#identity, 'pegaflow.epoch': epoch, 'pegaflow.generation.action': action };
    spans.generation = this.#open('pegaflow.generation', spans.root, atMs, attributes);
  }

  #end({ root, omitted }: OutageSpans, endMs: number, outage: EndedOutage): void {
    endSpan(root, endMs, {
      'pegaflow.outage.outcome': outage.outcome,
      'pegaflow.server.end': outage.serverEnd,
      'pegaflow.epoch.after': outage.epochAfter,
      'pegaflow.outage.dials': outage.dials,
      'pegaflow.outage.generations': outage.generations,
      ...(omitted > 0 ? { 'pegaflow.steps.omitted': omitted } : {}),
    });
  }

  #open(name: string, parent: OpenSpan, startMs: number, attributes: Attributes): OpenSpan {
    return openSpan(this.#tracer, name, parent.context, startMs, attributes);
  }
}
