import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { assign, createActor, fromPromise, type InspectionEvent, setup } from 'xstate';
import { isStep, type TakenTransition, takenTransition } from '../../src/taken-transition.ts';

const machine = setup({
  types: {} as { context: { n: number }; events: { type: 'go' } | { type: 'count' } },
  actors: { work: fromPromise(async () => {}) },
  guards: { isFirst: ({ context }) => context.n === 0 },
  actions: { count: assign({ n: ({ context }) => context.n + 1 }) },
}).createMachine({
  id: 'any',
  context: { n: 0 },
  initial: 'idle',
  on: { count: { actions: 'count' } },
  states: {
    idle: { on: { go: [{ guard: 'isFirst', target: 'busy.working' }, { target: 'done' }] } },
    busy: { initial: 'working', states: { working: { invoke: { src: 'work', id: 'one', onDone: '#any.done' } } } },
    done: { always: 'over' },
    over: {},
  },
});

/** What the installed XState tells of the steps of this machine. */
async function stepsOfRun(): Promise<(TakenTransition | null)[]> {
  const taken: (TakenTransition | null)[] = [];
  const over = Promise.withResolvers<void>();
  const inspect = (inspection: InspectionEvent) => {
    if (inspection.type !== '@xstate.microstep' || !isStep(inspection)) return;
    if (inspection.actorRef.sessionId === inspection.rootId) taken.push(takenTransition(inspection));
  };
  const actor = createActor(machine, { inspect });
  actor.subscribe((snapshot) => snapshot.value === 'over' && over.resolve());
  actor.start();
  actor.send({ type: 'count' });
  actor.send({ type: 'go' });
  await over.promise;
  return taken;
}

test('XState tells of each step the guard, the state that had the transition, its target and the actors there', async () => {
  const [counted, ...others] = (await stepsOfRun()).filter((taken) => taken !== null);
  expect(counted).toEqual({ guard: null, source: '', target: null, actors: {} });
  expect(others.map(({ guard, source, target }) => [guard, source, target])).toEqual([
    [null, 'idle', 'done'],
    [null, 'done', 'over'],
  ]);
});

test('an actor that ends is told under its id, which names what it runs', async () => {
  const taken: TakenTransition[] = [];
  const over = Promise.withResolvers<void>();
  const actor = createActor(machine, {
    inspect: (inspection) => {
      const step = isStep(inspection) ? takenTransition(inspection) : null;
      if (step !== null && inspection.actorRef.sessionId === inspection.rootId) taken.push(step);
    },
  });
  actor.subscribe((snapshot) => snapshot.value === 'over' && over.resolve());
  actor.start();
  actor.send({ type: 'go' });
  await over.promise;
  expect(taken.map(({ guard, source, target, actors }) => [guard, source, target, actors])).toEqual([
    ['isFirst', 'idle', 'busy.working', {}],
    [null, 'busy.working', 'done', { one: 'work' }],
    [null, 'done', 'over', {}],
  ]);
});

test('nobody else reads what XState does not document', () => {
  const root = resolve(import.meta.dirname, '../..');
  const readers = globSync('{machines,src}/**/*.{ts,js}', { cwd: root }).filter((file) =>
    readFileSync(`${root}/${file}`, 'utf8').includes('._transitions'),
  );
  expect(readers).toEqual(['src/taken-transition.ts']);
});
