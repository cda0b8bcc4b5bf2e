import { Command } from 'commander';
import { UsageError } from '../../usage-error.ts';
import { aborted } from '../aborted.ts';
import { interruptSignal } from '../interrupt-signal.ts';
import { printLine } from '../output/terminal.ts';
import { feedAddresses, wholeNumber } from '../values.ts';

interface InspectFlags {
  readonly attach?: readonly string[];
  readonly open?: string;
  readonly port: number;
  readonly record?: string;
}

/** Kept of what several connectors did: some 15 MB. */
const HISTORY_LIMIT = 50_000;

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what connectors do, or what they did, on a page for the browser')
    .option(
      '--attach <host:port>',
      'feed of a connector (ConnectorFeed.listen) to show; several together: again, or with commas between them',
      feedAddresses,
    )
    .option('--open <file>', 'a recording to show')
    .option('--port <n>', 'port of the loopback interface for the page; 0 takes a free one', wholeNumber(0, 65_535), 0)
    .option('--record <file>', 'with --attach: write what is shown to a file; one that is there is replaced')
    .action(runInspectCommand);
}

async function runInspectCommand({ attach, open, port, record }: InspectFlags): Promise<void> {
  if (attach === undefined && open === undefined) throw new UsageError('either --attach or --open is needed');
  if (attach !== undefined && open !== undefined) throw new UsageError('--attach and --open exclude each other');
  if (open !== undefined && record !== undefined) throw new UsageError('--record needs --attach');
  if (open !== undefined) await showRecording(open, port);
  else await showFeeds(attach ?? [], port, record);
}

async function showRecording(path: string, port: number): Promise<void> {
  const [{ readRecording }, { serveFeed }] = await Promise.all([
    import('../../feed/recording.ts'),
    import('../../feed/http/server.ts'),
  ]);
  const server = await serveFeed(await readRecording(path), { port });
  printPage(server.url);
  await aborted(interruptSignal());
  await server.close();
}

async function showFeeds(attached: readonly string[], port: number, file: string | undefined): Promise<void> {
  const [{ ConnectorFeed }, { mergeFeeds }] = await Promise.all([
    import('../../feed/connector-feed.ts'),
    import('../../feed/http/merged-feeds.ts'),
  ]);
  const feed = new ConnectorFeed({ historyLimit: HISTORY_LIMIT });
  // A port in use must not cost the recording that is there.
  const { url } = await feed.listen({ port });
  if (file !== undefined) await feed.record(file);
  printPage(url);
  const missing = new Set<string>();
  const note = (text: string) => printLine(process.stderr, text);
  await mergeFeeds(
    attached,
    (told) => feed.accept(told),
    {
      reached: (address) => {
        missing.delete(address);
        note(`${address}: attached`);
      },
      lost: (address, reason) => {
        if (!missing.has(address)) note(`${address}: not attached, trying again (${reason})`);
        missing.add(address);
      },
    },
    interruptSignal(),
  );
  await feed.close();
}

function printPage(url: string): void {
  printLine(process.stdout, `page: ${url}/`);
}
