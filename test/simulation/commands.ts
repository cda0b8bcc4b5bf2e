import { Command, CommanderError } from 'commander';

/** Exit statuses of the simulation's commands. */
export const exits = { clean: 0, found: 1, usage: 2 } as const;

/** A command that ends with {@link exits} and one line where it was called wrongly. */
export function simulationCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .helpOption('--help', 'show what there is to choose')
    .addHelpText('after', '\nExit status: 0 nothing was found, 1 something was, 2 wrong usage.')
    .showSuggestionAfterError()
    .exitOverride();
}

/** Runs the command; `act` of it tells the exit status by `process.exitCode`. */
export async function runCommand(command: Command): Promise<void> {
  try {
    await command.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? exits.clean : exits.usage;
  }
}
