import { Argument, Command } from 'commander';
import { EXIT_NOT_CONNECTED } from '../exit-status.ts';
import { feedAddress } from '../values.ts';

interface StatusFlags {
  readonly json?: boolean;
  readonly watch?: boolean;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('Print where the machines of connectors stand')
    .addArgument(
      new Argument('<host:port>', 'where a feed is served (ConnectorFeed.listen); http://host:port/ too').argParser(
        feedAddress,
      ),
    )
    .option('--json', 'print one JSON object; with --watch one a line')
    .option('--watch', 'print it again whenever it has changed, until Ctrl-C')
    .addHelpText(
      'after',
      `\nExit status: 0 all are connected, ${EXIT_NOT_CONNECTED} one is not, 1 nobody answers there.`,
    )
    .action(async (where: string, { json = false, watch = false }: StatusFlags) => {
      const { printStatus, watchStatus } = await import('./show-status.ts');
      await (watch ? watchStatus(where, json) : printStatus(where, json));
    });
}
