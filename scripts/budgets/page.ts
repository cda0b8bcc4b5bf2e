import type { AnyStateMachine } from 'xstate';
import {
  type Budgets,
  breakerMachine,
  budgetsFrom,
  budgetTable,
  schedulerMachine,
  workerMachine,
} from '../../machines/index.ts';
import { budgetsOf } from '../statecharts/delay-names.ts';
import { edgesOf } from '../statecharts/edges.ts';
import { longestMs, recoveries } from './recovery.ts';
import { filesThatRead } from './sources.ts';

/** What a server takes for one answer at most, in milliseconds, before it counts as busy. */
export const ANSWER_MS = budgetTable.spreadFromMs.default;

/** docs/budgets.md: the table of waits, where each runs, and what they add up to. */
export function budgetsPage(): string {
  const budgets = budgetsFrom();
  const names = Object.keys(budgetTable) as (keyof Budgets)[];
  return [
    '# Waits',
    '',
    'Written by `npm run docs` from `machines/budgets.ts`, the machines and the sources. Each wait is an option of the same',
    'name; all are in milliseconds.',
    '',
    '| budget | default (ms) | what happens at its end | states that wait | read by |',
    '| --- | ---: | --- | --- | --- |',
    ...names.map((name) => {
      const { default: defaultMs, end } = budgetTable[name];
      const states = [schedulerMachine, workerMachine, breakerMachine].flatMap((machine) =>
        statesThatWait(machine, name),
      );
      const cells = [
        `\`${name}\``,
        defaultMs?.toLocaleString('en') ?? 'never',
        end,
        states.join('<br>'),
        filesThatRead(name).join('<br>'),
      ];
      return `| ${cells.join(' | ')} |`;
    }),
    '',
    '## From a server that is ready to the next hit',
    '',
    `The longest way, with every wait at its end and each answer of the server within ${ANSWER_MS} ms: a server that is slower`,
    'counts as busy. Steps that run side by side are counted one after the other. After dropped SYNs the bound is 5,000 ms',
    'and a test holds it; most of it is the clear that waits for ranks. After failed generations the backoff alone takes as',
    'long: there the server was met and took the registration away again. Not counted: a pushback that the server asks for',
    '(`pushbackMaxMs`), a spread that the host declares (`registrationSpreadMs`), and, in a host without a channel of its',
    'own, its steps: an announcement travels in one, a report in the next.',
    ...recoveries.flatMap((recovery) => [
      '',
      `### ${recovery.name}: ${longestMs(recovery, budgets, ANSWER_MS).toLocaleString('en')} ms`,
      '',
      '| step | waits | answers |',
      '| --- | --- | ---: |',
      ...recovery.steps.map(({ what, waits, answers }) => {
        const terms = waits.map((name) => `\`${name}\` ${budgets[name]?.toLocaleString('en')}`);
        return `| ${what} | ${terms.join(' + ')} | ${answers || ''} |`;
      }),
    ]),
    '',
  ].join('\n');
}

function statesThatWait(machine: AnyStateMachine, name: keyof Budgets): string[] {
  const waits = edgesOf(machine).filter(
    ({ kind, trigger }) => kind === 'after' && budgetsOf(machine, trigger).includes(name),
  );
  return [...new Set(waits.map(({ from }) => `${machine.id}: ${from}`))];
}
