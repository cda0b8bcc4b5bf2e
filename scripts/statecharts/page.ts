import type { AnyStateMachine } from 'xstate';
import { breakerMachine, schedulerMachine, workerMachine } from '../../machines/index.ts';
import { statesOf } from './edges.ts';

const titles: readonly (readonly [string, AnyStateMachine])[] = [
  ['The scheduler’s half', schedulerMachine],
  ['One rank’s half', workerMachine],
  ['A breaker', breakerMachine],
];

/** docs/statecharts/states.md: what each machine does in each of its states. */
export function statesPage(): string {
  return [
    '# States',
    '',
    'Written by `npm run docs` from the descriptions in `machines/`. The page that `inspect` serves shows each over its state.',
    ...titles.flatMap(([title, machine]) => ['', `## ${title}`, '', ...table(machine)]),
    '',
  ].join('\n');
}

function table(machine: AnyStateMachine): string[] {
  const states = statesOf(machine).filter(({ path }) => path !== '');
  const rows = states.map(({ path, description, actors }) => `| \`${path}\` | ${description} | ${actors.join(', ')} |`);
  return ['| state | what the machine does there | runs |', '| --- | --- | --- |', ...rows];
}
