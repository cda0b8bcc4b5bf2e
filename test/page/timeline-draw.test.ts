import { describe, expect, it } from 'vitest';
import { accept, createHistory } from '../../src/page/history.js';
import { drawTimeline, GUTTER_PX } from '../../src/page/timeline/timeline-draw.js';
import { timelineRows } from '../../src/page/timeline/timeline-rows.js';
import { connected } from './support/synthetic-outage.ts';

/** More are no axis, but a loop that does not end. */
const MAX_MARKS = 10_000;
const TIME_PX = 50;

/** What the axis is marked with: how many lines, and where the times are that are written beside them. */
function axisOf(width: number, fromMs: number, toMs: number) {
  const history = createHistory();
  for (const record of connected({ instance: 'i', ranks: 2 }, fromMs)) accept(history, record);
  const { rows, height } = timelineRows(history, 'i', 0);
  const times: number[] = [];
  let marks = 0;
  const ignore = () => {};
  const brush = {
    ...{ clearRect: ignore, save: ignore, restore: ignore, beginPath: ignore, rect: ignore, clip: ignore, arc: ignore },
    ...{ fill: ignore, translate: ignore, scale: ignore, stroke: ignore, measureText: () => ({ width: TIME_PX }) },
    fillRect: (_x: number, _y: number, lineWidth: number, lineHeight: number) => {
      if (lineWidth === 1 && lineHeight === height) marks += 1;
      if (marks > MAX_MARKS) throw new Error('the axis does not end');
    },
    fillText: (text: string, x: number) => {
      if (text.includes(':')) times.push(x);
    },
  };
  const paint = { fillOf: () => '', onState: () => '', patternOf: () => null, iconOf: () => null };
  drawTimeline(brush as never, paint as never, { fromMs, toMs, width }, rows, height, {
    history,
    instance: 'i',
    selectedRank: 0,
    ...{ fromMs, endMs: toMs, atMs: toMs, isFollowing: true, isLive: true, isPlaying: false, outages: [] },
    zoom: { kind: 'all' },
    window: { fromMs, toMs },
  });
  return { marks, times };
}

describe('the axis of the timeline', () => {
  it('is marked as often as there is room, with the times that are not cut', () => {
    const width = GUTTER_PX + 1200;
    const { marks, times } = axisOf(width, 0, 600_000);
    expect(marks).toBe(11);
    expect(times).toHaveLength(10);
    expect(Math.max(...times) + TIME_PX).toBeLessThanOrEqual(width);
  });

  it('is not drawn where a canvas is narrower than its labels', () => {
    for (const width of [0, GUTTER_PX - 1, GUTTER_PX]) expect(axisOf(width, 0, 600_000).marks).toBe(0);
  });

  it.each([
    [1e20, 1e20],
    [1e20 - 120_000, 1e20 + 120_000],
    [-1e20, 1e20],
    [0, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, 0],
  ])('ends where no clock can be right: from %d to %d', (fromMs, toMs) => {
    expect(axisOf(1000, fromMs, toMs).marks).toBeLessThan(50);
  });
});
