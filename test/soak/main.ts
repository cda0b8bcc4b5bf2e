#!/usr/bin/env node
/** The command line of the soak. */
import { createLogUpdate } from 'log-update';
import { exits, runTool, toolCommand } from '../../scripts/tool-command.ts';
import { positiveNumber, wholeNumber } from '../../src/cli/values.ts';
import { printSummary } from './print-summary.ts';
import { runSoak, type SoakObserver } from './soak.ts';

interface Flags {
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
}

const command = toolCommand('soak', 'Random faults under traffic, in real processes, with every loaded byte verified')
  .option('--minutes <n>', 'how long faults strike; the end of the last round comes on top', positiveNumber, 10)
  .option('--seed <n>', 'decides chats and faults', wholeNumber(0, 2 ** 32 - 1), 1)
  .option('--json', 'print the summary as one JSON object', false)
  .action(soak);

await runTool(command);

async function soak({ minutes, seed, json }: Flags): Promise<void> {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interruption.signal.aborted) process.exit(exits.interrupted);
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
  process.exitCode = summary.ok ? exits.ok : exits.failed;
}
