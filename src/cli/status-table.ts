/** Where connectors stand, for a terminal. */
import Table from 'cli-table3';
import type { Cache } from '../feed/record.ts';
import type { FeedStatus } from '../feed/source.ts';
import { duration, percent } from './numbers.ts';

const LONGEST_EVIDENCE = 72;

export function statusText(status: FeedStatus): string {
  const { machines, caches, server, atMs } = status;
  if (machines.length === 0) return 'no connector is watched there';
  const table = new Table({
    head: ['machine', 'state', 'since', 'epoch', 'last evidence'],
    style: { head: [], border: [], compact: true },
  });
  for (const { machine, state, atMs: sinceMs, epoch, evidence } of machines) {
    const found = evidence === null ? '-' : shortened(`${evidence.kind}: ${evidence.message}`);
    table.push([machine, state, duration(atMs - sinceMs), epoch ?? '-', found]);
  }
  const serverLine =
    server === null
      ? []
      : [`server: ${server.what}${server.how ? ` (${server.how})` : ''} for ${duration(atMs - server.atMs)}`];
  return [table.toString(), ...caches.map(cacheLine), ...serverLine].join('\n');
}

function cacheLine({ instance, queries, askedBlocks, hitBlocks, missesDegraded }: Cache): string {
  const ratio =
    askedBlocks === 0 ? 'no block was asked for' : `${percent(hitBlocks / askedBlocks)} of ${askedBlocks} blocks hit`;
  return `${instance}: ${ratio} in ${queries} queries, ${missesDegraded} of them without a server`;
}

function shortened(text: string): string {
  return text.length <= LONGEST_EVIDENCE ? text : `${text.slice(0, LONGEST_EVIDENCE - 1)}…`;
}
