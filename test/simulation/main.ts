/** `npm run simulate`: plays seeds, and says what they did or how the first failure can be seen again. */
import { parseArgs } from 'node:util';
import { play, type SeedResult } from './players.ts';
import { Report } from './report.ts';
import { shrink } from './shrink.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    faults: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});

const PROGRESS_EVERY_SEEDS = 50;
const TRACE_LINES = 80;

const report = new Report();
const faults = values.faults?.split(',').filter(Boolean).map(Number);

await play({
  from: Number(values.seed ?? values.from),
  count: values.seed === undefined ? Number(values.seeds) : 1,
  jobs: Number(values.jobs),
  ...(faults === undefined ? {} : { faults }),
  onResult: (result) => {
    report.add(result);
    const { seeds } = report.tallies;
    if (seeds % PROGRESS_EVERY_SEEDS === 0) process.stderr.write(`${seeds} seeds, ${report.failures.length} failed\n`);
    return result.failure !== null;
  },
});

process.stdout.write(`${values.json ? JSON.stringify(report.json) : report.text}\n`);
const [failed] = report.failures;
if (failed !== undefined) {
  process.stderr.write(`\n${describe(faults === undefined ? await shrink(failed) : failed)}\n`);
  process.exitCode = 1;
}

function describe({ seed, failure, played }: SeedResult): string {
  const trace = failure?.trace.slice(-TRACE_LINES).join('\n');
  return `seed ${seed}: ${failure?.message}\n${trace}\nplay it again: npm run simulate -- --seed ${seed} --faults ${played.join()}`;
}
