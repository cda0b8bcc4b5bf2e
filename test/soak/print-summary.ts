/** The summary of a soak for people. */
import Table from 'cli-table3';
import { milliseconds, sizeText } from '../../src/cli/output/numbers.ts';
import type { ProcessGrowth } from './process-growth.ts';
import type { SoakSummary, Spread } from './summary.ts';

const PLAIN = { style: { head: [], border: [], compact: true } };

export function printSummary(summary: SoakSummary, stream: NodeJS.WritableStream): void {
  for (const part of [faultTable(summary), growthTable(summary.growth), totalsTable(summary)])
    stream.write(`${part}\n`);
  for (const defect of summary.defects) stream.write(`defect at ${defect}\n`);
  stream.write(summary.ok ? 'ok: everything that must be 0 is 0\n' : `FAILED (seed ${summary.seed})\n`);
}

function faultTable({ faults }: SoakSummary): string {
  const head = ['fault', 'times', 'noticed: p50 / p99 / worst', 'recovered: p50 / p99 / worst'];
  const table = new Table({ head, ...PLAIN });
  for (const { kind, count, detectionMs, recoveryMs } of faults) {
    table.push([kind, count, spreadText(detectionMs), spreadText(recoveryMs)]);
  }
  return `${table}\n${LEGEND}`;
}

const LEGEND = `noticed: from its start to the scheduler leaving connected; recovered: from its end to connected again
both only in rounds of this fault alone that were noticed (their number in parentheses)`;

function growthTable(growth: readonly ProcessGrowth[]): string {
  const head = ['process', 'observed', 'alive: first / last quarter', 'native memory', 'descriptors'];
  const table = new Table({ head, ...PLAIN });
  for (const { name, observedMs, liveBytes, nativeBytes, descriptors } of growth) {
    const [live, native] = [liveBytes, nativeBytes].map(({ first, last }) => `${sizeText(first)} / ${sizeText(last)}`);
    const minutes = `${(observedMs / 60_000).toFixed(1)} min`;
    table.push([name, minutes, live, native, `${descriptors.first} / ${descriptors.last}`]);
  }
  return `${table}\nof each the process that lived longest`;
}

function totalsTable(summary: SoakSummary) {
  const { minutes, seed, rounds, recoveries, traffic, misses, quarantineEnds, zeros, ...spreads } = summary;
  const table = new Table(PLAIN);
  const ends = ({ succeeded, failed, refused }: typeof traffic.loads) =>
    `${succeeded} succeeded, ${failed} failed, ${refused} refused`;
  const counts = (by: Readonly<Record<string, number>>) =>
    Object.entries(by)
      .map(([name, count]) => `${spaced(name)} ${count}`)
      .join(', ') || 'none';
  table.push(
    ['run', `${minutes.toFixed(1)} min, seed ${seed}, ${rounds} rounds, ${recoveries} recoveries`],
    ['noticed: p50 / p99 / worst', spreadText(spreads.detectionMs)],
    ['recovered: p50 / p99 / worst', spreadText(spreads.recoveryMs)],
    ['first hit: p50 / p99 / worst', spreadText(spreads.firstHitMs)],
    ['rounds with pids invisible', blindText(summary)],
    ['requests', `${traffic.requests}, of which ${traffic.abandonedRequests} went down with a killed scheduler`],
    ['queries', `${traffic.queries}, ${traffic.hitBlocks} blocks hit`],
    ['misses', counts(misses)],
    ['loads (over all ranks)', ends(traffic.loads)],
    ['saves (over all ranks)', ends(traffic.saves)],
    ['verified', `${sizeText(traffic.verifiedBytes)}, every byte`],
    ['quarantines ended by', counts(quarantineEnds)],
    ...Object.entries(zeros).map(([name, count]) => [spaced(name), count] as [string, number]),
  );
  return table.toString();
}

function blindText({ blindRounds, heldCalls, endsByHeldMemory }: SoakSummary): string {
  return `${blindRounds}, ${heldCalls} calls held without proof, ${endsByHeldMemory} ended by what was held`;
}

function spreadText(spread: Spread | null): string {
  if (spread === null) return '-';
  const { count, p50, p99, worst } = spread;
  return `${milliseconds(p50)} / ${milliseconds(p99)} / ${milliseconds(worst)} (${count})`;
}

/** `wrongBytes` as people write it. */
function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
