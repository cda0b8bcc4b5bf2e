import { expect, test } from 'vitest';
import { breakerMachine, schedulerMachine, workerMachine } from '../../machines/index.ts';
import { statesOf } from '../../scripts/statecharts/edges.ts';

test.each([schedulerMachine, workerMachine, breakerMachine])(
  'every state of the $id machine says what it does, in sentences',
  (machine) => {
    const states = statesOf(machine).filter(({ path }) => path !== '');
    expect(states.length).toBeGreaterThan(4);
    expect(states.filter(({ description }) => !/^[A-Z].*\.$/.test(description)).map(({ path }) => path)).toEqual([]);
  },
);
