/** Where connectors stand, for a terminal. */
import Table from 'cli-table3';
import type { Cache, MachineSeen } from '../../feed/record.ts';
import type { FeedStatus } from '../../feed/source.ts';
import { duration, percent } from './numbers.ts';
import { visible } from './terminal.ts';

const LONGEST_EVIDENCE = 72;
const LONGEST_NAME = 200;
const LONGEST_MESSAGE = 400;
const EVIDENCE_HEAD = 'last evidence';

/** As wide as `columns`, where evidence would make it wider. */
export function statusText(status: FeedStatus, columns = Number.POSITIVE_INFINITY): string {
  const { machines, caches, server, atMs } = status;
  if (machines.length === 0) return 'no connector is watched there';
  const narrowest = machineTable(status, EVIDENCE_HEAD.length);
  const room = EVIDENCE_HEAD.length + columns - narrowest.indexOf('\n');
  const table = machineTable(status, Math.max(EVIDENCE_HEAD.length, Math.min(LONGEST_EVIDENCE, room)));
  const serverLine =
    server === null
      ? []
      : [
          `server: ${nameOf(server.what)}${server.how ? ` (${nameOf(server.how)})` : ''} for ${duration(atMs - server.atMs)}`,
        ];
  return [table, ...machines.flatMap(troubleLines), ...caches.map(cacheLine), ...serverLine].join('\n');
}

function machineTable({ machines, atMs }: FeedStatus, longestEvidence: number): string {
  const table = new Table({
    head: ['machine', 'state', 'since', 'epoch', EVIDENCE_HEAD],
    style: { head: [], border: [], compact: true },
  });
  for (const { machine, state, atMs: sinceMs, epoch, evidence } of machines) {
    const found =
      evidence === null ? '-' : shortened(visible(`${evidence.kind}: ${evidence.message}`), longestEvidence);
    table.push([nameOf(machine), nameOf(state), duration(atMs - sinceMs), nameOf(epoch ?? '-'), found]);
  }
  return table.toString();
}

function troubleLines({ machine, troubles = [] }: MachineSeen): string[] {
  return troubles.map(
    ({ what, message }) => `${nameOf(machine)}: ${nameOf(what)}: ${shortened(visible(message), LONGEST_MESSAGE)}`,
  );
}

function cacheLine({ instance, queries, askedBlocks, hitBlocks, missesDegraded }: Cache): string {
  const ratio =
    askedBlocks === 0 ? 'no block was asked for' : `${percent(hitBlocks / askedBlocks)} of ${askedBlocks} blocks hit`;
  return `${nameOf(instance)}: ${ratio} in ${queries} queries, ${missesDegraded} of them without a server`;
}

function nameOf(text: string): string {
  return shortened(visible(text), LONGEST_NAME);
}

function shortened(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}
