import { describe, expect, it } from 'vitest';
import { createActor, setup } from 'xstate';
import {
  type BreakerEvent,
  type BreakerName,
  breakerMachine,
  budgetsFrom,
  type Fault,
  pathFrom,
} from '../../machines/index.ts';
import { machineClock, Script } from '../support/scripted-actors.ts';

const budgets = budgetsFrom();
const full: Fault = { kind: 'rejected', message: 'no space left on device' };

function harness(breaker: BreakerName = 'saves') {
  const { clock } = new Script();
  const told: string[] = [];
  const parent = setup({
    actors: { breaker: breakerMachine },
    actions: { hear: ({ event }) => told.push(event.type) },
  }).createMachine({
    invoke: { id: 'breaker', src: 'breaker', input: { breaker, budgets } },
    on: { '*': { actions: 'hear' } },
  });
  const actor = createActor(parent, { clock: machineClock(clock) }).start();
  const child = actor.getSnapshot().children['breaker']!;
  const snapshot = () => child.getSnapshot() as ReturnType<typeof breakerMachine.getInitialSnapshot>;
  const send = (...events: BreakerEvent[]) => {
    for (const event of events) child.send(event);
  };
  return { clock, told, send, path: () => pathFrom(snapshot().value), admits: () => snapshot().hasTag('admits') };
}

const refused = (source = 'rank 0', words = 'full'): BreakerEvent => ({ type: 'refused', source, words, fault: full });
const passed = (source = 'rank 0'): BreakerEvent => ({ type: 'passed', source });
const tried: BreakerEvent = { type: 'tried' };

describe('it opens only at as many refusals of one source, in the same words, as its threshold says, or at one of all work', () => {
  it.each<[BreakerName, number]>([
    ['saves', 2],
    ['loads', 3],
    ['queries', 3],
  ])('%s: %i', (breaker, threshold) => {
    const h = harness(breaker);
    for (let n = 1; n < threshold; n += 1) h.send(refused());
    expect([h.path(), h.told]).toEqual(['closed', []]);
    h.send(refused());
    expect([h.path(), h.told]).toEqual(['open.waiting', ['breaker.opened']]);
  });

  it('refusals in other words, of other sources, or before work that was well do not add up', () => {
    const h = harness();
    h.send(refused('rank 0', 'full'), refused('rank 0', 'another reason'), refused('rank 1', 'full'));
    h.send(passed('rank 0'), refused('rank 0', 'full'));
    expect(h.path()).toBe('closed');
    h.send(refused('rank 1', 'full'));
    expect(h.path()).toBe('open.waiting');
  });

  it('one that is of all work is enough, and told once', () => {
    const h = harness('loads');
    const ofAll: BreakerEvent = { type: 'refused', source: 'rank 0', words: '', fault: full, isOfAll: true };
    h.send(ofAll);
    expect([h.path(), h.told]).toEqual(['open.waiting', ['breaker.opened']]);
    h.send({ type: 'renewed' }, ofAll);
    expect([h.path(), h.told]).toEqual(['open.waiting', ['breaker.opened']]);
  });
});

it('while it is open, one try at a time is admitted, and none before its wait is over', () => {
  const h = harness();
  h.send(refused(), refused());
  for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]) {
    h.clock.tick(waitMs - 1);
    expect(h.admits()).toBe(false);
    h.clock.tick(1);
    expect(h.admits()).toBe(true);
    h.send(tried);
    expect(h.admits()).toBe(false);
    h.send(refused());
  }
  expect(h.told).toEqual(['breaker.opened']);
});

it('a try of which nothing is heard, or that was none, is followed by another', () => {
  const h = harness();
  h.send(refused(), refused());
  h.clock.tick(budgets.breakerFirstMs);
  h.send(tried, { type: 'inconclusive' });
  expect(h.admits()).toBe(true);
  h.send(tried);
  h.clock.tick(budgets.breakerTryMs - 1);
  expect(h.admits()).toBe(false);
  h.clock.tick(1);
  expect(h.admits()).toBe(true);
});

it('it closes only when a try was well at every source that had refused', () => {
  const h = harness();
  h.send(refused('rank 0'), refused('rank 1'), refused('rank 1'));
  h.send(passed('rank 0'), passed('rank 1'));
  expect(h.path()).toBe('open.waiting');
  h.clock.tick(budgets.breakerFirstMs);
  h.send(tried, passed('rank 0'));
  expect(h.path()).toBe('open.trying');
  h.send(passed('rank 1'));
  expect([h.path(), h.told]).toEqual(['closed', ['breaker.opened', 'breaker.closed']]);
});

it('another registration is tried at once', () => {
  const h = harness();
  h.send(refused(), refused(), { type: 'renewed' });
  expect(h.admits()).toBe(true);
});

it('the wait goes on to grow where it opens soon after it closed, and begins anew after a long calm', () => {
  const h = harness();
  const open = () => h.send(refused(), refused());
  const close = () => h.send(tried, passed());
  open();
  h.clock.tick(1_000);
  close();
  open();
  h.clock.tick(1_000);
  expect(h.admits()).toBe(false);
  h.clock.tick(1_000);
  close();
  h.clock.tick(4 * 2_000);
  open();
  h.clock.tick(1_000);
  expect(h.admits()).toBe(true);
});
