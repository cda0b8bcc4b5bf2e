import type { AnyStateMachine } from 'xstate';
import { type Budgets, budgetTable } from '../../machines/index.ts';

/** Names of the budgets that a delay of a machine is made of, in the order of the table. */
export function budgetsOf(machine: AnyStateMachine, delay: string): (keyof Budgets)[] {
  const read = new Set<string>();
  const budgets = new Proxy(
    {},
    {
      get: (_, name) => {
        read.add(String(name));
        return 1;
      },
    },
  );
  const delayOf = machine.implementations.delays?.[delay];
  if (typeof delayOf !== 'function') throw new Error(`no delay is declared as "${delay}"`);
  const context = {
    budgets,
    failedAttempts: 0,
    droppedDials: 0,
    failedDials: 0,
    briefLinks: 0,
    failedGenerations: 2,
    refusedAlike: { words: '', count: 0 },
    waits: 0,
    clearTookMs: 1,
    worldSize: 1,
  };
  delayOf({ context } as never, undefined as never);
  return (Object.keys(budgetTable) as (keyof Budgets)[]).filter((name) => read.has(name));
}
