import { describe, expect, it } from 'vitest';
import { NO_CLUES } from '../../../../machines/events/outage.ts';
import { inService, type OutageContext, outOfService, stopped } from '../../../../machines/events/outage-events.ts';
import type { Evidence, SchedulerContext } from '../../../../machines/index.ts';
import { EventTimes } from '../../../../src/telemetry/event-times.ts';
import { SchedulerTrace } from '../../../../src/telemetry/traces/scheduler-trace.ts';
import { MadeSteps } from '../../../support/machine-steps.ts';
import { TelemetryRecorder } from '../../../support/telemetry-recorder.ts';

const announced = (counter: number) => ({ epoch: { schedulerBootId: 's', counter }, action: 'register' }) as const;
const evidence: Evidence = { of: 'link', fault: { kind: 'unreachable', message: 'gone' } };

/** An SDK takes what is less for a time since the start of the process. */
const EPOCH_MS = 1_800_000_000_000;

/** A connector that was connected at 1 s and lost its server at 2 s. */
function lost() {
  const recorder = new TelemetryRecorder();
  const spans = new SchedulerTrace(recorder.tracerProvider.getTracer('test'), {});
  const steps = new MadeSteps<SchedulerContext>();
  const times = new EventTimes();
  let context: OutageContext = {
    announcement: announced(0),
    evidence,
    outage: null,
    generation: null,
    clues: NO_CLUES,
  };
  /** Each dial is one more, as the machine counts them. */
  const dialed = (to: string): OutageContext => {
    const { outage } = context;
    return {
      ...context,
      outage: to === 'reconnecting.dialing' && outage ? { ...outage, dials: outage.dials + 1 } : outage,
    };
  };
  const step = (to: string, event: string, atMs: number, cause = {}) => {
    if (to.startsWith('connected')) context = { ...context, announcement: announced(1) };
    const isOver = to.startsWith('connected') ? inService : to.startsWith('stopping') ? stopped : null;
    const { change, events } = isOver?.(context) ?? outOfService(context, false);
    context = { ...context, ...change };
    context = dialed(to);
    spans.stepped(steps.to(to, event, context as SchedulerContext, EPOCH_MS + atMs, cause));
    for (const event of events) spans.happened({ ...times.timed(event), atMs: EPOCH_MS + atMs });
  };
  step('reconnecting.dialing', 'start', 1_000);
  step('connected.unaudited', 'actor.done', 1_001);
  step('degraded.assessing', 'link.ended', 2_000, { cause: 'closed' });
  step('reconnecting.dialing', 'link.ended', 2_000);
  /** Refused dials, 50 ms apart, up to a moment. */
  const dialUntil = (fromMs: number, untilMs: number) => {
    for (let atMs = fromMs; atMs < untilMs; atMs += 50) {
      step('reconnecting.waiting', 'link.ended', atMs, { cause: 'refused' });
      step('reconnecting.dialing', 'after.redialBackoff', atMs + 25);
    }
  };
  return { recorder, spans, step, dialUntil };
}

describe('the trace of an outage that lasts', () => {
  it('shows what has been while it lasts, in slices of ten seconds', async () => {
    const { recorder, dialUntil } = lost();
    dialUntil(2_025, 61_000);
    const { spans } = await recorder.collect();
    const slices = spans.filter(({ name }) => name === 'pegaflow.state reconnecting').slice(1);
    expect(slices.map(({ attributes }) => attributes['pegaflow.state.slice'])).toEqual([0, 1, 2, 3, 4]);
    expect(spans.filter(({ name }) => name === 'pegaflow.outage')).toEqual([]);
  });

  it('is bounded: of an hour there are a few hundred spans, and the answered dial is one of them', async () => {
    const { recorder, dialUntil, step } = lost();
    dialUntil(2_025, 3_602_000);
    step('reRegistering.openingSession', 'link.opened', 3_602_100);
    step('connected.unaudited', 'actor.done', 3_602_200);
    const { spans } = await recorder.collect();
    expect(spans.length).toBeLessThan(500);
    const root = spans.find(({ name }) => name === 'pegaflow.outage')!;
    const states = spans.filter(({ parentId, name }) => parentId === root.spanId && name.startsWith('pegaflow.state '));
    const sumNs = states.reduce((sum, { startNs, endNs }) => sum + endNs - startNs, 0n);
    expect(sumNs).toBe(root.endNs - root.startNs);
    expect(states.every(({ events }) => events.length <= 64)).toBe(true);
    const dials = spans.filter(({ name, parentId }) => name === 'pegaflow.dial' && parentId !== null);
    expect(dials.filter(({ attributes }) => attributes['pegaflow.dial.outcome'] === 'opened').length).toBe(1);
    expect(Number(root.attributes['pegaflow.steps.omitted'])).toBeGreaterThan(100_000);
    expect(root.attributes['pegaflow.outage.dials']).toBe(72_001);
  });

  it('ends with the connector', async () => {
    const { recorder, spans, step } = lost();
    expect(spans.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    step('stopping.stoppingRanks', 'stop', 2_500);
    const root = (await recorder.collect()).spans.find(({ name }) => name === 'pegaflow.outage')!;
    expect(root.attributes).toMatchObject({ 'pegaflow.outage.outcome': 'stopped' });
    expect(root.endNs - root.startNs).toBe(500_000_000n);
    expect([spans.traceparent, spans.traceId, spans.context]).toEqual([undefined, undefined, null]);
  });
});
