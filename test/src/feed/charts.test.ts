import { describe, expect, it } from 'vitest';
import { schedulerMachine, workerMachine } from '../../../machines/index.ts';
import { edgesOf, statesOf } from '../../../scripts/statecharts/edges.ts';
import charts from '../../../src/feed/charts.json' with { type: 'json' };
import type { Chart, Charts } from '../../../src/feed/record.ts';
import { ANY_STATE, edgeId } from '../../../src/feed/watch/edge-id.ts';

const drawn: Charts = charts as Charts;
const pairs = [
  ['scheduler', schedulerMachine, drawn.scheduler],
  ['worker', workerMachine, drawn.worker],
] as const;

describe.each(pairs)('the chart of the %s', (_, machine, chart: Chart) => {
  const states = statesOf(machine).filter(({ path }) => path !== '');

  it('has every state, in the state around it', () => {
    const inside = (path: string) => path.split('.').slice(0, -1).join('.') || null;
    const boxes = chart.nodes.filter(({ kind }) => kind !== 'start' && kind !== 'any');
    expect(boxes.map(({ path, parent, tags }) => [path, parent, tags]).sort()).toEqual(
      states.map(({ path, tags }) => [path, inside(path), tags]).sort(),
    );
  });

  it('has a line for every way from one state to another, also those without an event', () => {
    const ways = edgesOf(machine).flatMap(({ from, target }) => (target === null ? [] : edgeId(from, target)));
    const starts = statesOf(machine).flatMap(({ path, initial }) => (initial === null ? [] : `start of ${path}`));
    expect(chart.edges.map(({ id }) => id).sort()).toEqual([...new Set([...ways, ...starts])].sort());
  });

  it('has a place for everything, within its borders', () => {
    const paths = new Set(chart.nodes.map(({ path }) => path));
    for (const { x, y, width, height } of chart.nodes) {
      expect(Math.min(x, y)).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(chart.width);
      expect(y + height).toBeLessThanOrEqual(chart.height);
    }
    for (const { from, to, points } of chart.edges) {
      expect([paths.has(from), paths.has(to)]).toEqual([true, true]);
      expect(points.length).toBeGreaterThanOrEqual(2);
    }
    expect(paths).toContain(ANY_STATE);
  });
});
