/** The manners of the repository's own commands: the same as those of the command line that the package ships. */
import { Command, CommanderError } from 'commander';
import { InterruptedError, RunError } from '../src/demo/run-error.ts';
import { UsageError } from '../src/usage-error.ts';

/** Exit statuses: what was looked for is right, is not, could not be understood, was cut short by Ctrl-C. */
export const exits = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** A command to be run by {@link runTool}. */
export function toolCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addHelpText('after', '\nExit status: 0 all is well, 1 something is wrong, 2 wrong usage, 130 interrupted.')
    .exitOverride();
}

const STATUSES = [
  [UsageError, exits.usage],
  [RunError, exits.failed],
  [InterruptedError, exits.interrupted],
] as const;

/** Runs the command. What the user did wrong, or broke off, ends with one line and no stack; a defect keeps its stack. */
export async function runTool(command: Command): Promise<void> {
  try {
    await command.parseAsync();
  } catch (error) {
    process.exitCode = statusOf(error);
  }
}

function statusOf(error: unknown): number {
  // Commander has written its own line.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exits.ok : exits.usage;
  const status = STATUSES.find(([kind]) => error instanceof kind)?.[1];
  if (status === undefined) throw error;
  process.stderr.write(`error: ${(error as Error).message}\n`);
  return status;
}
