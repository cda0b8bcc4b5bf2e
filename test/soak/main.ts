#!/usr/bin/env node
/** The command line of the soak. */
import { Command } from 'commander';
import { createLogUpdate } from 'log-update';
import { positiveNumber, wholeNumber } from '../../src/cli/values.ts';
import { InterruptedError } from '../../src/demo/run-error.ts';
import { printSummary } from './print-summary.ts';
import { runSoak, type SoakObserver } from './soak.ts';

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
  try {
    const summary = await runSoak({ minutes, seed }, observer, interruption.signal);
    live?.done();
    if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    else printSummary(summary, process.stdout);
    process.exitCode = summary.ok ? 0 : 1;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    process.stderr.write('interrupted\n');
    process.exitCode = EXIT_INTERRUPTED;
  }
}

await program.parseAsync();
