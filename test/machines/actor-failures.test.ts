import { describe, expect, it } from 'vitest';
import { type AnyStateMachine, createActor, fromCallback } from 'xstate';
import { budgetsFrom, schedulerMachine, workerMachine } from '../../machines/index.ts';
import { machineClock, Script } from '../support/scripted-actors.ts';

const budgets = budgetsFrom();
const cases: [string, AnyStateMachine, object][] = [
  ['scheduler', schedulerMachine, { schedulerBootId: 'boot', worldSize: 1, budgets }],
  ['worker', workerMachine, { rank: 0, workerBootId: 'worker', budgets }],
];

describe.each(cases)('%s machine', (_, machine, input) => {
  it('a link that cannot even be started is a failed dial, and the next one waits', () => {
    const script = new Script();
    let starts = 0;
    const link = fromCallback(() => {
      starts += 1;
      throw new Error('no such address');
    });
    const actor = createActor(machine.provide({ actors: { link } }), { input, clock: machineClock(script.clock) });
    const errors: unknown[] = [];
    actor.subscribe({ error: (error) => errors.push(error) });
    actor.start();
    expect(actor.getSnapshot().matches({ reconnecting: 'waiting' })).toBe(true);
    expect(JSON.stringify(actor.getSnapshot().context)).toContain('no such address');
    script.clock.tick(budgets.rankRedialFirstMs);
    expect(starts).toBeGreaterThan(1);
    expect(errors).toEqual([]);
    actor.stop();
  });

  it('an error of an actor whose state was left changes nothing', () => {
    const script = new Script();
    const link = script.link();
    const actor = createActor(machine.provide({ actors: { link } }), { input, clock: machineClock(script.clock) });
    actor.subscribe({ error: () => {} });
    actor.start();
    const before = actor.getSnapshot().value;
    actor.send({ type: 'xstate.error.actor.0.of.a.state.that.was.left', error: new Error('late') });
    expect(actor.getSnapshot()).toMatchObject({ status: 'active', value: before });
    actor.stop();
  });
});
