#!/usr/bin/env node
/**
 * Runs the whole suite again and again. Each run leaves its result under `test-runs/`, so that an interrupted repetition
 * goes on where it stopped; of a run that failed the whole log is kept. `--fresh` begins anew, and must be given to
 * repeat anything else than the runs before did.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { wholeNumber } from '../src/cli/values.ts';
import { UsageError } from '../src/usage-error.ts';
import { type RunResult, repetitionText, runResultFrom } from './repetition.ts';
import { exits, runTool, toolCommand } from './tool-command.ts';

const FOLDER = new URL('../test-runs/', import.meta.url);
const VITEST = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname;

interface Flags {
  readonly runs: number;
  readonly fresh: boolean;
}

const command = toolCommand('test:repeat', 'Run the whole suite n times; what was interrupted goes on')
  .option('--runs <n>', 'how many runs there are to be in all', wholeNumber(1, 10_000), 10)
  .option('--fresh', 'forget the runs before', false)
  .argument('[vitest...]', 'arguments for vitest, such as a path; its options after --')
  .action(repeat);

await runTool(command);

async function repeat(vitestArguments: readonly string[], { runs, fresh }: Flags): Promise<void> {
  if (fresh) rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  goOnWith(vitestArguments);
  for (let number = 1; number <= runs; number += 1) {
    if (existsSync(resultPath(number))) continue;
    process.stderr.write(`run ${number} of ${runs}\n`);
    const result = await runOnce(number, vitestArguments);
    writeFileSync(resultPath(number), JSON.stringify(result));
    const verdict = result.failures.length === 0 ? ['ok'] : [...result.failures, `log: ${logPath(number)}`];
    process.stderr.write(`  ${verdict.join('\n  ')}\n`);
  }
  const results = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.result.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as RunResult);
  process.stdout.write(repetitionText(results));
  process.exitCode = results.every(({ failures }) => failures.length === 0) ? exits.ok : exits.failed;
}

/** Runs of something else must not be counted as runs of this. */
function goOnWith(vitestArguments: readonly string[]): void {
  const path = new URL('arguments.json', FOLDER);
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as readonly string[]) : vitestArguments;
  if (before.join('\0') !== vitestArguments.join('\0')) {
    const what = before.length === 0 ? 'the whole suite' : before.join(' ');
    throw new UsageError(`test-runs/ has runs of ${what}: --fresh forgets them`);
  }
  writeFileSync(path, JSON.stringify(vitestArguments));
}

async function runOnce(number: number, vitestArguments: readonly string[]): Promise<RunResult> {
  const report = new URL(`${number}.report.json`, FOLDER);
  const log = createWriteStream(logPath(number));
  const startedAtMs = performance.now();
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report.pathname}`];
  const child = spawn(process.execPath, [VITEST, 'run', ...reporters, ...vitestArguments], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const [code]: (number | null)[] = await once(child, 'close');
  log.end();
  await once(log, 'close');
  const durationMs = performance.now() - startedAtMs;
  const result = runResultFrom(existsSync(report) ? readFileSync(report, 'utf8') : null, code ?? null, durationMs);
  rmSync(report, { force: true });
  if (result.failures.length === 0) rmSync(logPath(number));
  return result;
}

function resultPath(number: number): URL {
  return new URL(`${number}.result.json`, FOLDER);
}

function logPath(number: number): string {
  return new URL(`${number}.log`, FOLDER).pathname;
}
