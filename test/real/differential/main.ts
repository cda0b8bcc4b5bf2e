/** `npm run real:differential`: the published server and the engine do the same, and every difference is looked up or told. */
import { Option } from 'commander';
import { wholeNumber } from '../../../src/cli/values.ts';
import { exits, runCommand, simulationCommand } from '../../simulation/commands.ts';
import { newestPublished, type PublishedVersion, publishedVersions } from '../published-wheels.ts';
import { directedSequences } from './directed/index.ts';
import { type PlayOptions, play } from './play.ts';
import { randomSequence } from './random-sequence.ts';
import { Report } from './report.ts';
import { ServerPairs } from './server-pairs.ts';
import { only, shrink } from './shrink.ts';
import type { Sequence } from './step.ts';

interface Flags {
  readonly version: PublishedVersion;
  readonly outcomes: number;
  readonly seed: number;
  readonly steps?: readonly number[];
  readonly directed?: string;
  readonly part: 'all' | 'directed' | 'random';
  readonly shrink: boolean;
  readonly trace: boolean;
  readonly json: boolean;
}

const HIGHEST_SEED = 2 ** 31 - 1;
const PROGRESS_EVERY_MS = 10_000;

const command = simulationCommand(
  'real:differential',
  'The published server and the engine asked the same by its client',
)
  .addOption(
    new Option('--version <version>', 'of server and client').choices(publishedVersions).default(newestPublished),
  )
  .option(
    '--outcomes <n>',
    'how many outcomes of random sequences are compared at least',
    wholeNumber(1, HIGHEST_SEED),
    1000,
  )
  .option('--seed <seed>', 'the first of the random sequences', wholeNumber(0, HIGHEST_SEED), 1)
  .option('--steps <n,n,…>', 'play these steps of the seed alone, counted from 0', (text) =>
    text.split(',').map(Number),
  )
  .option('--directed <name>', 'play the directed sequences with this in their name alone')
  .addOption(new Option('--part <part>', 'what is played').choices(['all', 'directed', 'random']).default('all'))
  .option('--no-shrink', 'tell a difference with all the steps before it')
  .option('--trace', 'print every step and its outcomes', false)
  .option('--json', 'print the summary as one JSON object', false)
  .action(compare);

await runCommand(command);

async function compare(flags: Flags): Promise<void> {
  const { version, outcomes, seed, steps, directed, part, trace, json } = flags;
  await using pairs = new ServerPairs(version);
  const report = new Report(version);
  const options: PlayOptions = { pairs, stopsAtDifference: true, ...(trace && { onStep: printStep }) };
  if (steps !== undefined) {
    await add(report, only(randomSequence(seed, version), steps), { ...options, stopsAtDifference: false }, false);
  } else {
    if (part !== 'random') {
      const sequences = directedSequences(version).filter(({ name }) => name.includes(directed ?? ''));
      for (const sequence of sequences) await add(report, sequence, { ...options, stopsAtDifference: false }, false);
    }
    if (part !== 'directed' && directed === undefined) {
      let toldMs = performance.now();
      for (let next = seed; report.randomOutcomes < outcomes; next++) {
        await add(report, randomSequence(next, version), options, flags.shrink);
        if (performance.now() - toldMs < PROGRESS_EVERY_MS) continue;
        toldMs = performance.now();
        process.stderr.write(
          `seed ${next}: ${report.randomOutcomes} outcomes, ${report.unlistedCount} unlisted differences\n`,
        );
      }
    }
  }
  process.stdout.write(`${json ? JSON.stringify(report.json) : report.text}\n`);
  if (report.unlistedCount > 0) process.exitCode = exits.found;
}

async function add(report: Report, sequence: Sequence, options: PlayOptions, shrinks: boolean): Promise<void> {
  const played = await play(sequence, options);
  for (const difference of report.add(sequence, played)) {
    if (!shrinks) report.tell(sequence, difference, null);
    else {
      const silent = { pairs: options.pairs, stopsAtDifference: true };
      const { kept, difference: smallest } = await shrink(sequence, difference, silent);
      report.tell(sequence, smallest, kept);
    }
  }
}

function printStep(...[index, step, real, engine]: Parameters<NonNullable<PlayOptions['onStep']>>): void {
  process.stderr.write(`${index} ${JSON.stringify(step)}\n`);
  const [realTexts, engineTexts] = [real, engine].map((outcomes) => outcomes.map(({ text }) => text).join(' · '));
  process.stderr.write(
    realTexts === engineTexts ? `   ${realTexts}\n` : `   real   ${realTexts}\n   engine ${engineTexts}\n`,
  );
}
