/** `npm run simulate:mutants`: breaks the product on purpose and says which seed notices, and by which invariant. */

import Table from 'cli-table3';
import { Argument } from 'commander';
import { wholeNumber } from '../../src/cli/values.ts';
import { exits, runCommand, simulationCommand } from './commands.ts';
import { seedThatCatches } from './hunt.ts';
import { mutants } from './mutants.ts';

interface Flags {
  readonly seeds: number;
  readonly jobs: number;
}

const LONGEST_MESSAGE = 90;

const names = mutants.map(({ name }) => name);

const command = simulationCommand('simulate:mutants', 'Breaks the product on purpose and says which seed notices')
  .addArgument(new Argument('[mutant...]', 'those that are tried; default: all').choices(names))
  .option('--seeds <n>', 'how many seeds may pass until one notices', wholeNumber(1, 1_000_000), 400)
  .option('--jobs <n>', 'processes among which the seeds are dealt', wholeNumber(1, 64), 2)
  .action(hunt);

await runCommand(command);

async function hunt(wanted: readonly string[], { seeds, jobs }: Flags): Promise<void> {
  const table = new Table({
    head: ['mutant', 'seed', 'caught by', 'what it breaks'],
    colWidths: [36, 6, 54, 48],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { name, why } of mutants) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const caught = await seedThatCatches(name, seeds, jobs);
    if (caught === null) process.exitCode = exits.found;
    const verdict =
      caught === null
        ? ['–', 'not caught']
        : [String(caught.seed), caught.failure?.message.slice(0, LONGEST_MESSAGE) ?? ''];
    process.stderr.write(`${name}: ${verdict.join(' ')}\n`);
    table.push([name, ...verdict, why]);
  }
  process.stdout.write(`${table.toString()}\n`);
}
