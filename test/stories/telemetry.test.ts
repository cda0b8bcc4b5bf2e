/** What a restart looks like from outside: one trace over three processes, and the metrics of each. */
import { describe, expect, it } from 'vitest';
import { uniqueId } from '../support/engine-rank.ts';
import { own } from '../support/own.ts';
import { RoleProcess } from '../support/role-process.ts';
import { endpointOf, kill, startEngine, successorOf } from '../support/story.ts';
import type { Recorded, RecordedPoint, RecordedSpan } from '../support/telemetry-recorder.ts';
import { eventually } from '../support/within.ts';

interface Restart {
  readonly scheduler: Recorded;
  readonly ranks: readonly Recorded[];
  /** Spans of the outage's trace, of all processes. */
  readonly trace: readonly RecordedSpan[];
  readonly root: RecordedSpan;
}

async function restarted(): Promise<Restart> {
  const engine = await startEngine();
  const instanceId = uniqueId();
  // However busy this machine is, nothing is late and the registrations are not spread.
  const patient = 20_000;
  const budgets = {
    spreadFromMs: patient,
    stalledAfterMs: patient,
    sessionTimeoutMs: patient,
    surveyTimeoutMs: patient,
    pingTimeoutMs: patient,
  };
  const options = { endpoint: endpointOf(engine), instanceId, namespace: instanceId, worldSize: 2, tpSize: 2, budgets };
  const scheduler = own(new RoleProcess({ role: 'scheduler', options, isRecorded: true }));
  const ranks = [0, 1].map((rank) => {
    const rankOptions = { ...options, rank, tpRank: rank, deviceId: rank };
    const process = own(new RoleProcess({ role: 'rank', options: rankOptions, isRecorded: true }));
    scheduler.join(process);
    return process;
  });
  const roles = [scheduler, ...ranks];
  await Promise.all(roles.map((role) => role.inServiceAfter(0)));
  await kill(engine);
  const isWaiting = () => roles.every(({ status }) => status?.state === 'reconnecting');
  await eventually('all roles to look for the server', () => (isWaiting() ? true : null));
  await successorOf(engine);
  await Promise.all(roles.map((role) => role.inServiceAfter(1)));
  const [ofScheduler, ...ofRanks] = await Promise.all(roles.map((role) => role.collect()));
  const root = ofScheduler!.spans.find(({ name }) => name === 'pegaflow.outage')!;
  const all = [ofScheduler!, ...ofRanks].flatMap(({ spans }) => spans);
  const trace = all.filter(({ traceId }) => traceId === root.traceId);
  return { scheduler: ofScheduler!, ranks: ofRanks, trace, root };
}

const childrenOf = ({ trace }: Restart, parent: RecordedSpan) =>
  trace
    .filter(({ parentId }) => parentId === parent.spanId)
    .sort((a, b) => (a.startNs === b.startNs ? 0 : a.startNs < b.startNs ? -1 : 1));

const namesOf = (spans: readonly RecordedSpan[]) => spans.map(({ name }) => name);

const isState = ({ name }: RecordedSpan) => name.startsWith('pegaflow.state ');

const childNamed = (restart: Restart, parent: RecordedSpan, name: string) =>
  childrenOf(restart, parent).find((span) => span.name === name)!;

const stepsOf = (restart: Restart, state: RecordedSpan) =>
  childrenOf(restart, state).map(
    (step) => [step.attributes['pegaflow.path'], namesOf(childrenOf(restart, step))] as const,
  );

/** Without what differs in each run. */
const IDENTITY = ['pegaflow.instance.id', 'server.address', 'server.port'];

function valuesOf(points: readonly RecordedPoint[], name: string): readonly (readonly [string, number])[] {
  const told = points
    .filter((point) => point.name === name)
    .map(({ attributes, value }) => {
      const rest = Object.entries(attributes).filter(([key]) => !IDENTITY.includes(key));
      return [rest.map(([key, said]) => `${key.replace('pegaflow.', '')}=${said}`).join(' '), value] as const;
    });
  return told.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

const sumOf = (points: readonly RecordedPoint[], name: string, attribute: string, said: string) =>
  points.find((point) => point.name === name && point.attributes[attribute] === said)?.sum ?? Number.NaN;

describe('telemetry of a restart, over three processes', { timeout: 90_000 }, () => {
  it('S-01 is one trace, whose states follow each other without a gap, and the metrics of each process', async () => {
    const restart = await restarted();
    const { root, trace, scheduler, ranks } = restart;

    expect(root).toMatchObject({ parentId: null, isError: false });
    expect(root.attributes).toMatchObject({
      'pegaflow.outage.cause': 'link',
      'pegaflow.server.end': 'killed',
      'pegaflow.outage.outcome': 'connected',
      'pegaflow.fault.kind': 'unreachable',
      'pegaflow.epoch.before': 1,
      'pegaflow.epoch.after': 2,
      'pegaflow.outage.generations': 1,
    });
    expect(namesOf(childrenOf(restart, root)).toSorted()).toEqual([
      'pegaflow.generation',
      'pegaflow.rank.outage',
      'pegaflow.rank.outage',
      'pegaflow.state degraded',
      'pegaflow.state reRegistering',
      'pegaflow.state reconnecting',
    ]);
    // Every span of the trace hangs in the one tree.
    const ids = new Set(trace.map(({ spanId }) => spanId));
    expect(trace.filter(({ parentId }) => parentId === null || !ids.has(parentId))).toEqual([root]);

    const states = childrenOf(restart, root).filter(isState);
    expect(states.map(({ attributes }) => attributes['pegaflow.state'])).toEqual([
      'degraded',
      'reconnecting',
      'reRegistering',
    ]);
    expect([root.startNs, ...states.map(({ endNs }) => endNs)]).toEqual([
      ...states.map(({ startNs }) => startNs),
      root.endNs,
    ]);

    const reconnecting = childNamed(restart, root, 'pegaflow.state reconnecting');
    const dials = childrenOf(restart, reconnecting).filter(({ name }) => name === 'pegaflow.dial');
    const outcomes = dials.map(({ attributes }) => attributes['pegaflow.dial.outcome']);
    expect(outcomes.at(0)).not.toBe('opened');
    expect(outcomes.indexOf('opened')).toBe(outcomes.length - 1);

    const reRegistering = childNamed(restart, root, 'pegaflow.state reRegistering');
    const steps = stepsOf(restart, reRegistering);
    // Where the session is open before the old process is seen to be gone, the server is asked what it knows.
    const isAsked = steps.some(([state]) => state === 'reRegistering.surveying');
    // Once more where the death is seen meanwhile.
    const quiescing = steps.find(([state]) => state === 'reRegistering.quiescing')?.[1] ?? [];
    const askedAgain = quiescing.filter((call) => call === 'pegaflow.Engine/QueryPrefetch');
    expect(steps).toEqual([
      ['reRegistering.openingSession', ['pegaflow.Engine/Session']],
      ...(isAsked ? [['reRegistering.surveying', ['pegaflow.Engine/QueryPrefetch']]] : []),
      ['reRegistering.quiescing', askedAgain],
      ['reRegistering.clearing.waiting', ['pegaflow.Engine/UnregisterContext']],
      ['reRegistering.proving', []],
      ['reRegistering.spreading', []],
      ['reRegistering.announcing', []],
      ['reRegistering.sealing.waiting', []],
      ['reRegistering.readingBack', ['pegaflow.Engine/QueryPrefetch']],
    ]);
    const told = reRegistering.events.map(({ name, attributes }) => [
      name,
      attributes['pegaflow.event'],
      attributes['pegaflow.to'],
      attributes['pegaflow.guard'] ?? null,
    ]);
    expect(told).toEqual([
      ...(isAsked ? [['pegaflow.transition', 'actor.done', 'reRegistering.surveying', 'hasPublished']] : []),
      ['pegaflow.transition', 'actor.done', 'reRegistering.quiescing', null],
      // The ranks answer the wait before the session is open, or after it, or the next server says first that it has nothing.
      [
        'pegaflow.transition',
        expect.stringMatching(/^(actor\.done|report\.received)$/),
        'reRegistering.clearing.waiting',
        expect.stringMatching(/^(areRanksQuiet|isNothingMapped)$/),
      ],
      ['pegaflow.transition', 'actor.done', 'reRegistering.proving', null],
      ['pegaflow.transition', 'actor.done', 'reRegistering.spreading', 'areDoubtsOver'],
      ['pegaflow.transition', 'actor.done', 'reRegistering.announcing', null],
      ['pegaflow.transition', 'announcement.delivered', 'reRegistering.sealing.waiting', 'isCurrentEpoch'],
      ['pegaflow.transition', 'report.received', 'reRegistering.readingBack', 'areRanksConfirmed'],
      ['pegaflow.transition', 'actor.done', 'connected.unaudited', 'isSealedAndConfirmed'],
    ]);

    const generation = childNamed(restart, root, 'pegaflow.generation');
    expect(generation.attributes).toMatchObject({ 'pegaflow.epoch': 2, 'pegaflow.generation.outcome': 'published' });
    const registrations = childrenOf(restart, generation).toSorted(
      (a, b) => Number(a.attributes['pegaflow.rank']) - Number(b.attributes['pegaflow.rank']),
    );
    expect(
      registrations.map((span) => [span.name, span.attributes['pegaflow.rank'], namesOf(childrenOf(restart, span))]),
    ).toEqual([
      ['pegaflow.rank.registration', 0, ['pegaflow.Engine/RegisterContextBatch']],
      ['pegaflow.rank.registration', 1, ['pegaflow.Engine/RegisterContextBatch']],
    ]);
    for (const [rank, { spans }] of ranks.entries()) {
      const ours = spans.filter(({ traceId }) => traceId === root.traceId);
      expect(namesOf(ours).toSorted()).toEqual([
        'pegaflow.Engine/RegisterContextBatch',
        'pegaflow.rank.outage',
        'pegaflow.rank.registration',
      ]);
      const outage = ours.find(({ name }) => name === 'pegaflow.rank.outage')!;
      expect(outage.attributes).toMatchObject({ 'pegaflow.rank': rank, 'pegaflow.outage.outcome': 'connected' });
      expect(outage.events.at(-1)?.attributes).toMatchObject({ 'pegaflow.to': 'connected' });
    }

    const { points } = scheduler;
    const dialed = Number(root.attributes['pegaflow.outage.dials']);
    const counted = (name: string) => valuesOf(points, `pegaflow.connector.${name}`);
    // One of them may have been too late on a busy machine: nearly all are refused.
    const [answered, ...vain] = counted('dials');
    expect(answered).toEqual(['role=scheduler dial.outcome=opened', 2]);
    expect(vain.reduce((sum, [, dials]) => sum + dials, 0)).toBe(dialed - 1);
    expect(counted('state')).toEqual([
      ['role=scheduler state=connected', 1],
      ['role=scheduler state=degraded', 0],
      ['role=scheduler state=reRegistering', 0],
      ['role=scheduler state=reconnecting', 0],
    ]);
    expect(counted('transitions')).toEqual([
      ['role=scheduler state.from=connected state.to=degraded event=link.ended', 1],
      ['role=scheduler state.from=degraded state.to=reconnecting event=link.ended', 1],
      ['role=scheduler state.from=reRegistering state.to=connected event=actor.done', 2],
      ['role=scheduler state.from=reconnecting state.to=reRegistering event=link.opened', 2],
    ]);
    expect(counted('epoch')).toEqual([['role=scheduler', 2]]);
    expect(counted('evidence')).toEqual([['evidence=link fault.kind=unreachable', 1]]);
    expect(counted('generations')).toEqual([['generation.action=register generation.outcome=published', 2]]);
    expect(counted('outage.duration')).toEqual([
      ['outage.cause=link server.end=killed outage.outcome=connected', 1],
      ['outage.cause=start server.end=none outage.outcome=connected', 1],
    ]);
    expect(counted('recovery.duration')).toEqual([
      ['outage.cause=link', 1],
      ['outage.cause=start', 1],
    ]);
    const secondsOf = ({ startNs, endNs }: RecordedSpan) => Number(endNs - startNs) / 1e9;
    const outageSeconds = sumOf(points, 'pegaflow.connector.outage.duration', 'pegaflow.outage.cause', 'link');
    expect(outageSeconds).toBeCloseTo(secondsOf(root), 6);
    const recoverySeconds = sumOf(points, 'pegaflow.connector.recovery.duration', 'pegaflow.outage.cause', 'link');
    expect(recoverySeconds).toBeCloseTo(secondsOf(reRegistering), 6);
    for (const [rank, { points: ofRank }] of ranks.entries()) {
      expect(valuesOf(ofRank, 'pegaflow.connector.registration.duration')).toEqual([
        [`rank=${rank} registration.outcome=registered`, 2],
      ]);
      expect(valuesOf(ofRank, 'pegaflow.connector.epoch')).toEqual([[`rank=${rank} role=worker`, 2]]);
      // A rank that found the server before the scheduler did has also asked what it still knows.
      const registered = valuesOf(ofRank, 'rpc.client.call.duration').filter(([said]) => said.includes('Register'));
      expect(registered).toEqual([
        ['rpc.system.name=grpc rpc.method=pegaflow.Engine/RegisterContextBatch rpc.purpose=call rpc.status_code=OK', 2],
      ]);
    }
  });
});
