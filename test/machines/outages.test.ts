import { describe, expect, test } from 'vitest';
import { NO_CLUES, type Outage, type ServerClues, type ServerEnd, serverEndOf } from '../../machines/events/outage.ts';
import type { Fault, LinkEndCause, SchedulerDomainEvent } from '../../machines/index.ts';
import { budgets, gone, notFound, schedulerHarness, sealed } from './scheduler-harness.ts';

const OF_GENERATIONS = ['generation.began', 'generation.ended', 'outage.began', 'outage.ended'] as const;

const typesOf = (events: readonly SchedulerDomainEvent[]) => events.map(({ type }) => type);

/** The only event of its type. */
function one<Type extends SchedulerDomainEvent['type']>(events: readonly SchedulerDomainEvent[], type: Type) {
  const found = events.filter((event): event is Extract<SchedulerDomainEvent, { type: Type }> => event.type === type);
  expect(found).toHaveLength(1);
  return found[0]!;
}

/** In service, and what is emitted from now on. */
async function serving() {
  const h = schedulerHarness();
  await h.toServing();
  const before = h.told().length;
  return { ...h, since: () => h.told().slice(before) };
}

/** Registered again at a server that has nothing of it. */
async function registerAgain(h: Awaited<ReturnType<typeof serving>>): Promise<void> {
  await h.toSession();
  if (h.path() === 'reRegistering.surveying') await h.script.answer('survey', notFound);
  await h.script.answer('clear', { tookMs: 1 });
  h.deliver();
}

async function recover(h: Awaited<ReturnType<typeof serving>>): Promise<void> {
  await registerAgain(h);
  for (const rank of [0, 1]) h.report(rank);
  await h.script.answer('survey', sealed);
  expect(h.path()).toBe('connected.unaudited');
}

const ended = (cause: LinkEndCause, fault: Fault = gone) => ({ type: 'link.ended', cause, fault }) as const;

describe('what the scheduler’s machine emits of outages', () => {
  test('the time before the first service is an outage, with one generation that is published', async () => {
    const h = schedulerHarness();
    expect(h.told()).toMatchObject([{ type: 'outage.began', outage: { cause: 'start', fault: null, epochBefore: 0 } }]);
    await h.toConnected();
    expect(typesOf(h.told(...OF_GENERATIONS))).toEqual([
      'outage.began',
      'generation.began',
      'generation.ended',
      'outage.ended',
    ]);
    expect(one(h.told(), 'generation.ended')).toMatchObject({
      generation: { epoch: 1, action: 'register' },
      outcome: 'published',
      fault: null,
    });
    expect(one(h.told(), 'outage.ended').outage).toEqual({
      cause: 'start',
      fault: null,
      epochBefore: 0,
      epochAfter: 1,
      dials: 1,
      generations: 1,
      outcome: 'connected',
      serverEnd: 'none',
    });
  });

  test('a listener of an event reads the state that the event led to', async () => {
    const h = await serving();
    const seen: unknown[] = [];
    h.actor.on('outage.began', () => seen.push(h.path(), h.context().outage?.cause));
    h.actor.on('outage.ended', () => seen.push(h.path(), h.context().outage));
    h.script.tell(ended('closed'));
    expect(seen).toEqual(['reconnecting.dialing', 'link']);
    await recover(h);
    expect(seen.slice(2)).toEqual(['connected.unaudited', null]);
  });

  test('a server that is killed costs one outage, whose dials are counted', async () => {
    const h = await serving();
    h.script.tell(ended('reset'));
    for (let refused = 0; refused < 3; refused += 1) {
      h.script.tell(ended('refused'));
      h.script.clock.tick(budgets.redialMaxMs);
    }
    await recover(h);
    expect(typesOf(h.since())).toEqual([
      'evidence.found',
      'outage.began',
      'dial.ended',
      'dial.ended',
      'dial.ended',
      'dial.ended',
      'generation.began',
      'generation.ended',
      'outage.ended',
    ]);
    expect(one(h.since(), 'outage.began').outage).toMatchObject({ cause: 'link', fault: gone, epochBefore: 1 });
    expect(one(h.since(), 'outage.ended').outage).toMatchObject({
      cause: 'link',
      serverEnd: 'killed',
      dials: 4,
      generations: 1,
      epochAfter: 2,
    });
    expect(h.since().flatMap((event) => (event.type === 'dial.ended' ? [event.outcome] : []))).toEqual([
      'refused',
      'refused',
      'refused',
      'opened',
    ]);
  });

  test('a connection that breaks to a server that lives flaps: what was registered is kept', async () => {
    const h = await serving();
    h.script.tell(ended('closed'));
    h.script.tell({ type: 'link.opened' });
    await h.script.answer('openSession');
    await h.script.answer('survey', sealed);
    h.deliver();
    for (const rank of [0, 1]) h.report(rank, { outcome: 'kept' });
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');
    expect(one(h.since(), 'generation.began').generation).toEqual({ epoch: 2, action: 'keep' });
    expect(one(h.since(), 'outage.ended').outage).toMatchObject({ serverEnd: 'flapped', outcome: 'connected' });
  });

  test('a generation that a rank refuses fails, and says why', async () => {
    const h = await serving();
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'no such instance', lost: 'instance' } });
    await h.script.answer('survey', notFound);
    await h.script.answer('clear', { tookMs: 1 });
    h.deliver();
    h.report(0, { outcome: 'failed', fault: { kind: 'rejected', message: 'no room' } });
    const { outcome, fault } = one(h.since(), 'generation.ended');
    expect([outcome, fault?.message]).toEqual(['failed', 'rank 0: no room']);
    expect(h.since().some(({ type }) => type === 'outage.ended')).toBe(false);
  });

  test('a link that is lost in a generation fails it, and its outage goes on', async () => {
    const h = await serving();
    h.script.tell(ended('pingLost'));
    await registerAgain(h);
    h.script.tell(ended('closed'));
    expect(one(h.since(), 'generation.ended')).toMatchObject({ outcome: 'failed', fault: gone });
    h.script.clock.tick(budgets.redialMaxMs);
    await recover(h);
    expect(one(h.since(), 'outage.ended').outage).toMatchObject({ serverEnd: 'frozen', generations: 2 });
  });

  test('a hand-back is planned, whatever evidence there was before', async () => {
    const h = await serving();
    h.actor.send({ type: 'drain' });
    expect(one(h.since(), 'outage.began').outage).toMatchObject({ cause: 'planned', fault: null });
    h.actor.send({ type: 'resume' });
    await recover(h);
    expect(one(h.since(), 'outage.ended').outage.serverEnd).toBe('drained');
  });

  test('a stop ends the outage there is, and is none', async () => {
    const inService = await serving();
    inService.actor.send({ type: 'stop' });
    expect(inService.since()).toEqual([]);

    const out = await serving();
    out.script.tell(ended('closed'));
    out.actor.send({ type: 'stop' });
    expect(one(out.since(), 'outage.ended').outage).toMatchObject({ outcome: 'stopped', epochAfter: 1 });
    expect(one(out.since(), 'dial.ended').outcome).toBe('abandoned');
  });

  test('an audit tells what it found, and one that something else interrupts tells nothing', async () => {
    const h = await serving();
    h.script.clock.tick(budgets.auditIntervalMs);
    await h.script.answer('survey', sealed);
    h.script.clock.tick(budgets.auditIntervalMs);
    h.script.tell(ended('closed'));
    expect(h.since().filter(({ type }) => type === 'audit.ended')).toEqual([
      { type: 'audit.ended', outcome: 'sealed' },
    ]);

    const gone = await serving();
    gone.script.clock.tick(budgets.auditIntervalMs);
    await gone.script.answer('survey', notFound);
    expect(one(gone.since(), 'audit.ended').outcome).toBe('refuted');
    expect(one(gone.since(), 'outage.began').outage.cause).toBe('audit');
  });
});

describe('how a server ended', () => {
  const link: Outage = { cause: 'link', fault: gone, epochBefore: 1, dials: 1, generations: 1 };
  const closed: ServerClues = { linkEnd: 'closed', wasRefused: false };
  const forgotten: Fault = { kind: 'forgotten', message: 'no such instance', lost: 'instance' };

  test.each<[ServerEnd, string, Outage, ServerClues, boolean]>([
    ['killed', 'the link closed and nobody listened', link, { ...closed, wasRefused: true }, true],
    ['killed', 'the link was reset and the registration is gone', link, { ...closed, linkEnd: 'reset' }, false],
    ['flapped', 'the link closed and the registration was kept', link, closed, true],
    ['frozen', 'a ping was lost', link, { ...closed, linkEnd: 'pingLost' }, false],
    [
      'frozen',
      'a call was not answered',
      { ...link, cause: 'rpc', fault: { ...gone, kind: 'timedOut' } },
      NO_CLUES,
      false,
    ],
    ['killed', 'a call failed first, then the link closed', { ...link, cause: 'rpc' }, closed, false],
    ['forgot', 'it denied the registration, whatever became of the link', { ...link, fault: forgotten }, closed, false],
    ['drained', 'it announced its end', { ...link, cause: 'drain' }, { ...closed, wasRefused: true }, false],
    ['other', 'an answer that nobody understands', { ...link, fault: { ...gone, kind: 'defect' } }, NO_CLUES, false],
  ])('%s: %s', (end, _, outage, clues, isKept) => {
    expect(serverEndOf(outage, clues, isKept)).toBe(end);
  });
});
