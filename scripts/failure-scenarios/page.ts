import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type HoldingTest, holdingTests } from './holding-tests.ts';
import { type Scenario, scenarios } from './rows.ts';

const root = resolve(import.meta.dirname, '../..');

/** docs/failure-scenarios.md. Throws where a row is held by nothing and has no reason, or a name says what is not there. */
export function failureScenariosPage(): string {
  const tests = holdingTests(root);
  const problems = problemsOf(tests);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return [
    '# Failures, and the tests that hold them',
    '',
    'Written by `npm run docs` from `scripts/failure-scenarios/rows.ts` and the names of the tests. The numbers are those of',
    'the catalogue that the project works through. *Simulated* names the faults of `npm run simulate` that reach the row too.',
    '',
    '| # | what happens | what must hold | held by | left |',
    '| --- | --- | --- | --- | --- |',
    ...Object.entries(scenarios).map(([number, scenario]) => rowOf(number, scenario, tests)),
    '',
  ].join('\n');
}

function rowOf(
  number: string,
  { what, mustHold, simulated = [], gap = '' }: Scenario,
  tests: readonly HoldingTest[],
): string {
  const held = tests
    .filter(({ rows }) => rows.includes(number))
    .map(({ file, name }) => `${name.replaceAll('|', '\\|')} (\`${file}\`)`);
  const faults = simulated.length > 0 ? [`simulated: ${simulated.join(', ')}`] : [];
  return `| ${number} | ${what} | ${mustHold} | ${[...held, ...faults].join('<br>')} | ${gap} |`;
}

function problemsOf(tests: readonly HoldingTest[]): string[] {
  const held = new Set(tests.flatMap(({ rows }) => rows));
  const numbers = Object.keys(scenarios);
  const kinds = faultKinds();
  return [
    ...numbers
      .filter((number) => !held.has(number) && scenarios[number]?.gap === undefined)
      .map((number) => `${number} is in no test's name and has no reason for that in rows.ts`),
    ...[...held].filter((row) => !numbers.includes(row)).map((row) => `a test's name holds ${row}, which is no row`),
    ...numbers.flatMap((number) =>
      (scenarios[number]?.simulated ?? [])
        .filter((kind) => !kinds.has(kind))
        .map((kind) => `${number} names the fault "${kind}", which the simulation does not have`),
    ),
  ];
}

/** The faults that the simulation draws from. */
function faultKinds(): Set<string> {
  const source = readFileSync(join(root, 'test/simulation/faults.ts'), 'utf8');
  return new Set([...source.matchAll(/^ {2}(\w+): \(/gm)].map(([, kind]) => kind ?? ''));
}
