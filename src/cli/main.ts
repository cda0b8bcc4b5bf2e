#!/usr/bin/env node
/** The command line. The only place that prints, reads signals and decides an exit status. */
import { Command, CommanderError } from 'commander';
import { errorText } from '../error-text.ts';
import { RecordingError } from '../feed/recording-error.ts';
import { packageVersion } from '../package-version.ts';
import { UsageError } from '../usage-error.ts';
import { checkCommand } from './commands/check-command.ts';
import { demoCommand } from './commands/demo-command.ts';
import { engineCommand } from './commands/engine-command.ts';
import { inspectCommand } from './commands/inspect-command.ts';
import { statusCommand } from './commands/status-command.ts';
import { print } from './output/terminal.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

function createProgram(): Command {
  return new Command('pegaflow-lifecycle')
    .description('A KV-cache connector that survives the restart of its server')
    .version(packageVersion())
    .exitOverride()
    .addCommand(demoCommand().exitOverride())
    .addCommand(checkCommand().exitOverride())
    .addCommand(engineCommand().exitOverride())
    .addCommand(inspectCommand().exitOverride())
    .addCommand(statusCommand().exitOverride());
}

/** The exit status of an error, with its one line on standard error. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  print(process.stderr, `error: ${errorText(error)}`);
  return error instanceof UsageError || error instanceof RecordingError ? EXIT_USAGE : EXIT_FAILED;
}

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
