#!/usr/bin/env node
/** The command line of the soak. */
import { Command, CommanderError } from 'commander';
import { createLogUpdate } from 'log-update';
import { positiveNumber, wholeNumber } from '../../src/cli/values.ts';
import { InterruptedError } from '../../src/demo/run-error.ts';
import { printSummary } from './print-summary.ts';
import { runSoak, type SoakObserver } from './soak.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

interface Flags {
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
}

const program = new Command('soak')
  .description('Random faults under traffic, in real processes, with every loaded byte verified')
  .option('--minutes <n>', 'how long faults strike; the end of the last round comes on top', positiveNumber, 10)
  .option('--seed <n>', 'decides chats and faults', wholeNumber(0, 2 ** 32 - 1), 1)
  .option('--json', 'print the summary as one JSON object', false)
  .exitOverride()
  .action(soak);

async function soak({ minutes, seed, json }: Flags): Promise<void> {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interruption.signal.aborted) process.exit(EXIT_INTERRUPTED);
      interruption.abort();
    });
  }
  const live = process.stderr.isTTY ? createLogUpdate(process.stderr, { showCursor: true }) : null;
  const observer: SoakObserver = {
    state: (text) => live?.(text),
    note: (text) => (live === null ? process.stderr.write(`${text}\n`) : live.persist(text)),
  };
  const summary = await runSoak({ minutes, seed }, observer, interruption.signal).finally(() => live?.done());
  if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else printSummary(summary, process.stdout);
  process.exitCode = summary.ok ? 0 : EXIT_FAILED;
}

/** The exit status of an error, with its one line on standard error; Commander has written its own. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return error instanceof InterruptedError ? EXIT_INTERRUPTED : EXIT_FAILED;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
