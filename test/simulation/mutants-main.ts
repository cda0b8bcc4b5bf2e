/** `npm run simulate:mutants`: breaks the product on purpose and says which seed notices, and by which invariant. */

import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { seedThatCatches } from './hunt.ts';
import { mutants } from './mutants.ts';

const { values, positionals } = parseArgs({
  options: { seeds: { type: 'string', default: '400' }, jobs: { type: 'string', default: '2' } },
  allowPositionals: true,
});

const table = new Table({ head: ['mutant', 'seed', 'caught by', 'what it breaks'], style: { head: [], border: [] } });
for (const { name, why } of mutants) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const caught = await seedThatCatches(name, Number(values.seeds), Number(values.jobs));
  if (caught === null) process.exitCode = 1;
  const verdict =
    caught === null ? ['–', 'not caught'] : [String(caught.seed), caught.failure?.message.slice(0, 70) ?? ''];
  process.stderr.write(`${name}: ${verdict.join(' ')}\n`);
  table.push([name, ...verdict, why]);
}
process.stdout.write(`${table.toString()}\n`);
