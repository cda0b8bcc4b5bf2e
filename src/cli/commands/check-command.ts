import { Argument, Command } from 'commander';
import type { CheckReport, ItemResult } from '../../check/check.ts';
import type { DeviceKind } from '../../device-kind.ts';
import { UsageError } from '../../usage-error.ts';
import { interruptSignal } from '../interrupt-signal.ts';
import { printLine } from '../output/terminal.ts';
import { grpcUrl, httpUrl, MAX_TIMER_MS, wholeNumber } from '../values.ts';
import { deviceDriverFor, deviceKindFor, openDeviceOption } from './device-option.ts';

const EXIT_NOT_KEPT = 1;
const EXIT_INTERRUPTED = 130;
const DEFAULT_TIMEOUT_MS = 10_000;

interface CheckFlags {
  readonly httpUrl?: string;
  readonly write?: boolean;
  readonly device?: DeviceKind;
  readonly timeoutMs: number;
  readonly json?: boolean;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('Ask a running pegaflow-server whether it does what the connectors rely on')
    .addArgument(new Argument('<url>', 'where it serves gRPC, such as http://127.0.0.1:50055').argParser(grpcUrl))
    .option('--http-url <url>', 'ask its HTTP port too, such as http://127.0.0.1:9091', httpUrl)
    .option('--write', 'save a few blocks, which stay under random namespaces until they are evicted')
    .addOption(openDeviceOption())
    .option('--timeout-ms <ms>', 'the longest that one item may take', wholeNumber(1, MAX_TIMER_MS), DEFAULT_TIMEOUT_MS)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
It registers instances of its own (check-…), unregisters them, and saves nothing without --write. Some items ask what
has to be refused: each refusal is one WARN line in the server's log.

Exit status: 0 all that was asked is kept, ${EXIT_NOT_KEPT} something is not, 2 nobody answers there.`,
    )
    .action((url: string, flags: CheckFlags) => runCheckCommand(url, flags));
}

async function runCheckCommand(endpoint: string, flags: CheckFlags): Promise<void> {
  const { httpUrl: httpEndpoint = null, write: writes = false, device, timeoutMs, json = false } = flags;
  const { check, UnreachableError } = await import('../../check/check.ts');
  const driver = deviceDriverFor(deviceKindFor(device, 'pegaflow-server'), 1);
  const signal = interruptSignal();
  const onItem = json ? () => {} : (item: ItemResult) => printLine(process.stdout, lineOf(item));
  const report = await check({ endpoint, httpEndpoint, driver, writes, timeoutMs, signal }, onItem).catch(
    (error: unknown) => {
      throw error instanceof UnreachableError ? new UsageError(error.message) : error;
    },
  );
  if (json) printLine(process.stdout, JSON.stringify(report));
  else for (const line of summaryOf(report)) printLine(process.stdout, line);
  if (report.isInterrupted) process.exitCode = EXIT_INTERRUPTED;
  else if (countOf(report, 'not kept') > 0) process.exitCode = EXIT_NOT_KEPT;
}

const MARKS = { kept: 'kept', 'not kept': 'NOT KEPT', 'not asked': 'not asked' };
const MARK_WIDTH = 9;

function lineOf({ id, title, outcome, reason }: ItemResult): string {
  const words = `${MARKS[outcome].padEnd(MARK_WIDTH)}  ${/^C\d/.test(id) ? `${id} ` : '    '}${title}`;
  return reason === null ? words : `${words}: ${reason}`;
}

function summaryOf(report: CheckReport): string[] {
  const { endpoint, serverVersion, warnings, savedBlocks, isInterrupted } = report;
  const counts = (['kept', 'not kept', 'not asked'] as const).map(
    (outcome) => `${countOf(report, outcome)} ${outcome}`,
  );
  return [
    `pegaflow-server ${serverVersion} at ${endpoint}: ${counts.join(', ')}${isInterrupted ? '; interrupted' : ''}`,
    `${warnings} WARN lines in the server's log are from this check: what it asks for is refused on purpose`,
    ...(savedBlocks === 0
      ? []
      : [`${savedBlocks} blocks were saved: they stay, under namespaces that nobody else has, until they are evicted`]),
  ];
}

function countOf({ items }: CheckReport, outcome: ItemResult['outcome']): number {
  return items.filter((item) => item.outcome === outcome).length;
}
