import { describe, expect, it } from 'vitest';
import { assign, createActor, setup } from 'xstate';
import { type Transition, transitionLog } from '../../../../src/index.ts';

describe('transitionLog', () => {
  it('tells every transition with its event and time, also through states that are left at once', () => {
    const machine = setup({ types: {} as { context: { hops: number } } }).createMachine({
      context: { hops: 0 },
      initial: 'connected',
      states: {
        connected: {
          initial: 'serving',
          states: { serving: {} },
          on: { lost: 'degraded', counted: { actions: assign({ hops: ({ context }) => context.hops + 1 }) } },
        },
        degraded: { always: 'reconnecting' },
        reconnecting: {},
      },
    });
    const told: Transition[] = [];
    const actor = createActor(machine, { inspect: transitionLog('scheduler', (transition) => told.push(transition)) });
    actor.start();
    actor.send({ type: 'counted' });
    actor.send({ type: 'lost' });
    expect(told.map(({ machine, from, event, to }) => [machine, from, event, to])).toEqual([
      ['scheduler', '', 'xstate.init', 'connected.serving'],
      ['scheduler', 'connected.serving', 'lost', 'degraded'],
      ['scheduler', 'degraded', 'lost', 'reconnecting'],
    ]);
    const times = told.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Math.abs((times[0] ?? 0) - Date.now())).toBeLessThan(60_000);
  });
});
