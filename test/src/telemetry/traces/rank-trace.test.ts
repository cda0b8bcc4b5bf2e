import { type Tracer, trace } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import {
  type RankCourse,
  rankLeftService,
  rankOutageEnded,
  rankWasAnswered,
  rankWasTold,
} from '../../../../machines/events/rank-events.ts';
import type { Announcement, RankOutcome, WorkerContext } from '../../../../machines/index.ts';
import { EventTimes } from '../../../../src/telemetry/event-times.ts';
import { RankTrace } from '../../../../src/telemetry/traces/rank-trace.ts';
import { MadeSteps } from '../../../support/machine-steps.ts';
import { TelemetryRecorder } from '../../../support/telemetry-recorder.ts';

const SCHEDULERS = '0af7651916cd43dd8448eb211c80319c';
const told = (counter: number, action: Announcement['action'], isTraced = true): Announcement => ({
  epoch: { schedulerBootId: 's', counter },
  action,
  ...(isTraced ? { traceparent: `00-${SCHEDULERS}-b7ad6b7169203331-01` } : {}),
});

/** An SDK takes what is less for a time since the start of the process. */
const EPOCH_MS = 1_800_000_000_000;
const EPOCH_NS = BigInt(EPOCH_MS) * 1_000_000n;

function rank(tracer?: Tracer) {
  const recorder = new TelemetryRecorder();
  const spans = new RankTrace(tracer ?? recorder.tracerProvider.getTracer('test'), { 'pegaflow.rank': 0 });
  const steps = new MadeSteps<WorkerContext>();
  const times = new EventTimes();
  let context: RankCourse = {
    announcement: null,
    outcome: 'pending',
    fault: null,
    isOutOfService: false,
    registration: null,
  };
  let atMs = EPOCH_MS;
  const step = (to: string, announcement: Announcement | null, outcome: RankOutcome = 'pending') => {
    atMs += 10;
    const next = { ...context, announcement, outcome };
    const isTold = announcement !== context.announcement;
    const answered = isTold ? rankWasTold(context, next) : rankWasAnswered(context, next);
    context = { ...next, ...answered.change };
    const isOver = to === 'connected' ? 'connected' : to === 'stopping' ? 'stopped' : null;
    const moved = isOver === null ? rankLeftService(context) : rankOutageEnded(context, isOver);
    context = { ...context, ...moved.change };
    spans.stepped(steps.to(to, 'happened', context as WorkerContext, atMs));
    for (const event of [...answered.events, ...moved.events]) spans.happened({ ...times.timed(event), atMs });
  };
  const first = told(1, 'register', false);
  step('reconnecting.dialing', null);
  step('reRegistering.registering.waiting', first);
  step('reRegistering.deciding', first, 'registered');
  step('connected', first, 'registered');
  return { recorder, spans, step, first };
}

const spansOf = async (recorder: TelemetryRecorder, name: string) =>
  (await recorder.collect()).spans.filter((span) => span.name === name);

describe("a rank's part in a trace", () => {
  it('begins when its link was lost, and belongs to the trace that it is told of later', async () => {
    const { recorder, step, first } = rank();
    step('degraded.assessing', first, 'registered');
    step('reconnecting.dialing', first, 'registered');
    const next = told(2, 'register');
    step('reRegistering.registering.waiting', next);
    step('reRegistering.deciding', next, 'registered');
    step('connected', next, 'registered');
    const [, outage] = await spansOf(recorder, 'pegaflow.rank.outage');
    expect(outage).toMatchObject({ traceId: SCHEDULERS, parentId: 'b7ad6b7169203331' });
    expect([outage!.startNs, outage!.endNs]).toEqual([EPOCH_NS + 50_000_000n, EPOCH_NS + 90_000_000n]);
    expect(outage!.events.map(({ attributes }) => attributes['pegaflow.to'])).toEqual([
      'degraded.assessing',
      'reconnecting.dialing',
      'reRegistering.registering.waiting',
      'reRegistering.deciding',
      'connected',
    ]);
    const [, registration] = await spansOf(recorder, 'pegaflow.rank.registration');
    expect(registration).toMatchObject({ traceId: SCHEDULERS, isError: false });
  });

  it('is a trace of its own where the rank recovers alone', async () => {
    const { recorder, step, first } = rank();
    step('degraded.assessing', first, 'registered');
    step('degraded.verifying', first, 'registered');
    step('connected', first, 'registered');
    const [, outage] = await spansOf(recorder, 'pegaflow.rank.outage');
    expect(outage).toMatchObject({ parentId: null, attributes: { 'pegaflow.outage.outcome': 'connected' } });
  });

  it('has no name without an SDK, but that of the trace it was told of', () => {
    const { spans, step, first } = rank(trace.getTracer('none'));
    step('degraded.assessing', first, 'registered');
    step('reRegistering.registering.waiting', told(2, 'register', false));
    expect(spans.traceId).toBeUndefined();
    step('reRegistering.registering.waiting', told(3, 'register'));
    expect(spans.traceId).toBe(SCHEDULERS);
  });

  it('names the trace of an outage while it lasts, and neither before nor after', () => {
    const { spans, step, first } = rank();
    step('degraded.assessing', first, 'registered');
    const next = told(2, 'register');
    step('reRegistering.registering.waiting', next);
    expect(spans.traceId).toBe(SCHEDULERS);
    step('reRegistering.deciding', next, 'registered');
    step('connected', next, 'registered');
    expect(spans.traceId).toBeUndefined();
    step('degraded.assessing', next, 'registered');
    expect(spans.traceId).toBeUndefined();
  });

  it('says of a registration that was refused or overtaken that it was', async () => {
    const { recorder, step } = rank();
    const second = told(2, 'register');
    step('reRegistering.registering.waiting', second);
    step('reRegistering.waiting', second, 'failed');
    const third = told(3, 'register');
    step('reRegistering.registering.waiting', third);
    step('reRegistering.registering.waiting', told(4, 'register'));
    const registrations = await spansOf(recorder, 'pegaflow.rank.registration');
    expect(
      registrations.map(({ attributes, isError }) => [attributes['pegaflow.registration.outcome'], isError]),
    ).toEqual([
      ['registered', false],
      ['failed', true],
      ['superseded', true],
    ]);
  });

  it('of a `keep` that it cannot vouch for is refused in the same breath', async () => {
    const { recorder, step } = rank();
    step('reRegistering.waiting', told(2, 'keep'), 'failed');
    const [, refused] = await spansOf(recorder, 'pegaflow.rank.registration');
    expect(refused).toMatchObject({
      isError: true,
      attributes: { 'pegaflow.registration.outcome': 'failed', 'pegaflow.generation.action': 'keep' },
    });
  });

  it('tells no outage of a stop', async () => {
    const { recorder, step } = rank();
    const stop = told(1, 'stop');
    step('reRegistering.deciding', stop, 'registered');
    step('stopping', stop, 'registered');
    expect(await spansOf(recorder, 'pegaflow.rank.outage')).toHaveLength(1);
  });
});
