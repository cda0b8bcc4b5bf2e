import { schedulerMachine, workerMachine } from '../../machines/index.ts';
import { edgesOf, isWithin, statesOf } from '../../scripts/statecharts/edges.ts';
import { schedulerTables } from '../machines/walk-scheduler.ts';
import { workerTables } from '../machines/walk-worker.ts';
import type { MachineName } from './coverage.ts';

const charts = {
  scheduler: { machine: schedulerMachine, tables: schedulerTables },
  worker: { machine: workerMachine, tables: workerTables },
};

/** Every event in each state where it can do something, named as `Coverage` does: what the walk of the machine finds. */
export function pairsOf(name: MachineName): string[] {
  const { machine, tables } = charts[name];
  const isIgnored = (leaf: string, event: string) =>
    tables.ignored.some((row) => row.event === event && row.in.includes(leaf));
  const edges = edgesOf(machine).filter(({ event }) => event !== '' && !event.endsWith('*'));
  const leaves = statesOf(machine).filter(
    ({ path, children, isFinal }) => children.length === 0 && !isFinal && !tables.passedThrough.includes(path),
  );
  return leaves.flatMap(({ path }) => {
    const events = new Set(edges.filter(({ from }) => isWithin(path, from)).map(({ event }) => event));
    return [...events].filter((event) => !isIgnored(path, event)).map((event) => `${name} ${path} ${event}`);
  });
}
