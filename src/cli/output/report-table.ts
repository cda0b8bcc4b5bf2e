/** The report of a run as two tables. */
import Table from 'cli-table3';
import type { RunReport } from '../../demo/report/report.ts';
import type { RestartReport } from '../../demo/report/restart-report.ts';
import { milliseconds, percent, sizeText } from './numbers.ts';
import { print, printLine } from './terminal.ts';

export function printReport(report: RunReport, stream: NodeJS.WritableStream): void {
  if (report.restarts.length > 0) print(stream, restartTable(report.restarts));
  print(stream, runTable(report));
  for (const line of logLines(report)) printLine(stream, line);
  printLine(stream, report.ok ? 'ok: everything that must be 0 is 0' : `FAILED: ${whyNotOk(report)}`);
}

const PLAIN = { style: { head: [], border: [], compact: true } };

function restartTable(restarts: readonly RestartReport[]): string {
  const head = [
    '#',
    'stopped by',
    'away',
    'detected',
    'registered',
    'first hit',
    'queries\nmissed',
    'loads\nrefused',
    'saves\nrefused',
    'loads in flight\nok / failed',
  ];
  const table = new Table({ head, ...PLAIN });
  for (const [index, restart] of restarts.entries()) {
    table.push([
      index + 1,
      restart.stop === 'elsewhere' ? 'others' : restart.stop,
      milliseconds(restart.awayMs),
      milliseconds(restart.detectionMs),
      milliseconds(restart.registeredMs),
      milliseconds(restart.firstHitMs),
      restart.missedQueries,
      restart.refusedLoads,
      restart.refusedSaves,
      `${restart.loadsInFlight.succeeded} / ${restart.loadsInFlight.failed}`,
    ]);
  }
  return `${table}\n${restarts.some(({ stop }) => stop === 'elsewhere') ? OTHERS_LEGEND : LEGEND}`;
}

const OTHERS_LEGEND = `away: from the loss being noticed to a server answering again
registered (all ranks), first hit: after that
missed: until the recovery; refused: over all ranks; in flight when it was noticed: a failed load is computed again`;

const LEGEND = `away: from the stop to the new server listening; detected: after the stop
registered (all ranks), first hit (on something saved since): after the new server listened
missed: until the recovery; refused: over all ranks; in flight at the stop: a failed load is computed again`;

/** Distinct lines that are shown; the rest is in the log and in `--json`. */
const MAX_LOG_LINES = 12;
const LONGEST_LOG_LINE = 160;

function logLines({ serverLog }: RunReport): string[] {
  const lines = serverLog?.lines ?? [];
  const shown = lines.slice(0, MAX_LOG_LINES).map(({ level, text, count }) => {
    const short = text.length > LONGEST_LOG_LINE ? `${text.slice(0, LONGEST_LOG_LINE)}…` : text;
    return `  ${String(count).padStart(5)} × ${level} ${short}`;
  });
  const rest = lines.length - shown.length;
  return [
    ...(shown.length === 0 ? [] : ["the server's warnings and errors, those alike together:"]),
    ...shown,
    ...(rest > 0 ? [`  and ${rest} others (--server-log, --json)`] : []),
  ];
}

function runTable({ zeros, oracle, serverLog, ...run }: RunReport): string {
  const table = new Table(PLAIN);
  table.push(
    ['requests', `${run.requests} in ${milliseconds(run.durationMs)}`],
    [
      'hit ratio',
      `${percent(run.hitRatio)} (${oracle.hitBlocks} of ${run.queriedBlocks} blocks in ${run.queries} queries)`,
    ],
    ['oracle', oracleText(oracle)],
    ['loaded', `${run.loadedBlocks} blocks, ${sizeText(run.loadedBytes)}`],
    ['verified', `${run.verifiedBlocks} blocks, every byte`],
    ['wrong bytes', zeros.wrongBytes],
    ['hung calls', zeros.hungCalls],
    ['requests reported other than once', zeros.requestsReportedOtherThanOnce],
    ['leaked processes', zeros.leakedProcesses],
    ['leaked shm objects', zeros.leakedSharedMemory],
    ['leaked sockets', zeros.leakedSockets],
  );
  if (serverLog !== null) table.push(['server log', `${serverLog.warnings} WARN, ${serverLog.errors} ERROR`]);
  return table.toString();
}

function whyNotOk({ zeros, oracle }: RunReport): string {
  const wrong = Object.entries(zeros).flatMap(([name, count]) => (count > 0 ? [`${name} is ${count}`] : []));
  const outside = oracle.disagreements.length;
  if (outside > 0) wrong.push(`${outside} queries hit other than the oracle allows`);
  return wrong.join(', ');
}

function oracleText(oracle: RunReport['oracle']): string {
  if (!oracle.comparable) {
    const why = 'the pool may not have kept what was saved (--pool-size)';
    return `at most ${oracle.atMostBlocks} blocks could hit; ${oracle.disagreements.length} queries outside\n${why}`;
  }
  const range = `${oracle.atLeastBlocks} to ${oracle.atMostBlocks} blocks must have hit`;
  const open = `${oracle.notYetVisibleBlocks} were being saved`;
  return `${range} (${open}); ${oracle.disagreements.length} queries outside`;
}
