/** `npm run simulate`: plays seeds, and says what they did or how the first failure can be seen again. */
import { wholeNumber } from '../../src/cli/values.ts';
import { exits, runCommand, simulationCommand } from './commands.ts';
import { play, type SeedResult } from './players.ts';
import { Report } from './report.ts';
import { shrink } from './shrink.ts';

interface Flags {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: number;
  readonly faults?: readonly number[];
  readonly jobs: number;
  readonly coverage: boolean;
  readonly json: boolean;
}

const HIGHEST_SEED = 2 ** 31 - 1;
const PROGRESS_EVERY_SEEDS = 50;
const TRACE_LINES = 80;

const seedNumber = wholeNumber(0, HIGHEST_SEED);
const faultNumber = wholeNumber(1, 1_000);

const command = simulationCommand('simulate', 'The whole system in one thread under one clock, with faults, from seeds')
  .option('--seeds <n>', 'how many seeds are played', wholeNumber(1, HIGHEST_SEED), 100)
  .option('--from <seed>', 'the first of them', seedNumber, 1)
  .option('--seed <seed>', 'play this one alone', seedNumber)
  .option('--faults <n,n,…>', "only these faults of each seed's plan, counted from 1", (text) =>
    text.split(',').map(faultNumber),
  )
  .option('--jobs <n>', 'processes among which the seeds are dealt', wholeNumber(1, 64), 1)
  .option('--coverage', 'name the pairs of state and event that no seed met', false)
  .option('--json', 'print the summary as one JSON object', false)
  .action(simulate);

await runCommand(command);

async function simulate({ seeds, from, seed, faults, jobs, coverage, json }: Flags): Promise<void> {
  const report = new Report();
  await play({
    from: seed ?? from,
    count: seed === undefined ? seeds : 1,
    jobs,
    ...(faults === undefined ? {} : { faults }),
    onResult: (result) => {
      report.add(result);
      const done = report.tallies.seeds;
      if (done % PROGRESS_EVERY_SEEDS === 0) process.stderr.write(`${done} seeds, ${report.failures.length} failed\n`);
      return result.failure !== null;
    },
  });
  process.stdout.write(`${json ? JSON.stringify(report.json) : report.text({ unseen: coverage })}\n`);
  const [failed] = report.failures;
  if (failed === undefined) return;
  process.stderr.write(`\n${describe(faults === undefined ? await shrink(failed) : failed)}\n`);
  process.exitCode = exits.found;
}

function describe({ seed, failure, played }: SeedResult): string {
  const trace = failure?.trace.slice(-TRACE_LINES).join('\n');
  return `seed ${seed}: ${failure?.message}\n${trace}\nplay it again: npm run simulate -- --seed ${seed} --faults ${played.join()}`;
}
