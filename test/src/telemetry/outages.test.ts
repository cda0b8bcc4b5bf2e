import { describe, expect, it } from 'vitest';
import type { Evidence, FaultKind, LinkEndCause, SchedulerContext } from '../../../machines/index.ts';
import type { MachineStep } from '../../../src/telemetry/machine-steps.ts';
import { type EndedOutage, Outages } from '../../../src/telemetry/outages.ts';

interface Told {
  readonly of: Evidence['of'];
  readonly kind: FaultKind;
  /** How the link ended, in the step that left `connected` or in a later one. */
  readonly linkEnd?: LinkEndCause;
  readonly isDialRefused?: boolean;
  readonly isKept?: boolean;
}

const contextIn = (counter: number, action: string, evidence: Evidence | null) =>
  ({ announcement: { epoch: { schedulerBootId: 's', counter }, action }, evidence }) as unknown as SchedulerContext;

/** The outage that a life of these steps tells. */
function outageOf({ of, kind, linkEnd, isDialRefused = false, isKept = false }: Told): EndedOutage {
  const outages = new Outages();
  const evidence: Evidence = { of, fault: { kind, message: 'so it was' } };
  let before: SchedulerContext | null = null;
  let atMs = 0;
  const step = (from: string, to: string, event: string, context: SchedulerContext, cause?: LinkEndCause) => {
    atMs += 10;
    const made = { from, to, event, guard: null, cause: { type: event, cause }, context, before, atMs };
    before = context;
    return outages.follow(made as MachineStep<SchedulerContext>);
  };
  step('', 'reconnecting.dialing', 'start', contextIn(0, 'wait', null));
  step('reconnecting.dialing', 'reRegistering.announcing', 'link.opened', contextIn(1, 'register', null));
  step('reRegistering.announcing', 'connected.settling', 'actor.done', contextIn(1, 'register', null));
  const lost = contextIn(1, 'register', evidence);
  const first = of === 'link' ? 'link.ended' : 'rpc.failed';
  step('connected.settling', 'degraded.assessing', first, lost, of === 'link' ? linkEnd : undefined);
  if (of !== 'link' && linkEnd) step('degraded.assessing', 'degraded.assessing', 'link.ended', lost, linkEnd);
  step('degraded.assessing', 'reconnecting.dialing', first, lost);
  if (isDialRefused) {
    step('reconnecting.dialing', 'reconnecting.waiting', 'link.ended', lost, 'refused');
    step('reconnecting.waiting', 'reconnecting.dialing', 'after.redialBackoff', lost);
  }
  step('reconnecting.dialing', 'reRegistering.openingSession', 'link.opened', lost);
  const next = contextIn(2, isKept ? 'keep' : 'register', evidence);
  step('reRegistering.openingSession', 'reRegistering.announcing', 'actor.done', next);
  const news = step('reRegistering.announcing', 'connected.settling', 'actor.done', next);
  const ended = news.find(({ type }) => type === 'outage.ended');
  if (ended?.type !== 'outage.ended') throw new Error('no outage ended');
  return ended.outage;
}

describe('how a server went', () => {
  it.each<[EndedOutage['serverEnd'], string, Told]>([
    [
      'killed',
      'the link closed and nobody listened',
      { of: 'link', kind: 'unreachable', linkEnd: 'closed', isDialRefused: true },
    ],
    [
      'killed',
      'the link was reset and the registration is gone',
      { of: 'link', kind: 'unreachable', linkEnd: 'reset' },
    ],
    [
      'flapped',
      'the link closed and the registration was kept',
      { of: 'link', kind: 'unreachable', linkEnd: 'closed', isKept: true },
    ],
    ['frozen', 'a ping was lost', { of: 'link', kind: 'unreachable', linkEnd: 'pingLost' }],
    ['frozen', 'a call was not answered', { of: 'rpc', kind: 'timedOut' }],
    [
      'killed',
      'a call failed first, then the link closed',
      { of: 'rpc', kind: 'unreachable', linkEnd: 'closed', isDialRefused: true },
    ],
    ['forgot', 'an audit found nothing', { of: 'audit', kind: 'forgotten' }],
    [
      'forgot',
      'it denied the registration, whatever became of the link then',
      { of: 'rpc', kind: 'forgotten', linkEnd: 'closed' },
    ],
    ['drained', 'it announced its end', { of: 'drain', kind: 'unreachable', linkEnd: 'closed', isDialRefused: true }],
    ['other', 'an answer that nobody understands', { of: 'rpc', kind: 'defect' }],
  ])('%s: %s', (serverEnd, _, told) => {
    expect(outageOf(told)).toMatchObject({
      serverEnd,
      cause: told.of,
      outcome: 'connected',
      epochBefore: 1,
      epochAfter: 2,
    });
  });

  it('counts dials and generations, and when the server was reached', () => {
    const outage = outageOf({ of: 'link', kind: 'unreachable', linkEnd: 'closed', isDialRefused: true });
    expect(outage).toMatchObject({ startMs: 40, reachedMs: 80, endMs: 100, dials: 2, generations: 1 });
  });
});
