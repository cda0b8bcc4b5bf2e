import { describe, expect, it } from 'vitest';
import { accept, createHistory } from '../../src/page/history.js';
import { drawTimeline, GUTTER_PX } from '../../src/page/timeline-draw.js';
import { timelineRows } from '../../src/page/timeline-rows.js';
import { connected } from './support/synthetic-outage.ts';

/** More are no axis, but a loop that does not end. */
const MAX_TEXTS = 10_000;

/** @returns how many words are written: the labels of the rows, and the times of the axis */
function textsOf(width: number, fromMs: number, toMs: number): number {
  const history = createHistory();
  for (const record of connected({ instance: 'i', ranks: 2 }, fromMs)) accept(history, record);
  const { rows, height } = timelineRows(history, 'i', 0);
  let texts = 0;
  const ignore = () => {};
  const brush = {
    ...{ clearRect: ignore, fillRect: ignore, save: ignore, restore: ignore, beginPath: ignore, rect: ignore },
    ...{ clip: ignore, arc: ignore, fill: ignore, translate: ignore, scale: ignore, stroke: ignore },
    measureText: () => ({ width: 10 }),
    fillText: () => {
      texts += 1;
      if (texts > MAX_TEXTS) throw new Error('the axis does not end');
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
  return texts;
}

describe('the axis of the timeline', () => {
  it('has as many marks as there is room for', () => {
    const labels = textsOf(GUTTER_PX + 1, 0, 600_000);
    expect(textsOf(GUTTER_PX + 1200, 0, 600_000) - labels).toBe(10);
  });

  it('has none where a canvas is narrower than its labels', () => {
    expect(textsOf(GUTTER_PX - 1, 0, 600_000)).toBe(0);
    expect(textsOf(GUTTER_PX, 0, 600_000)).toBe(0);
  });

  it.each([
    [1e20, 1e20],
    [1e20 - 120_000, 1e20 + 120_000],
    [-1e20, 1e20],
    [0, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, 0],
  ])('ends where no clock can be right: from %d to %d', (fromMs, toMs) => {
    expect(textsOf(1000, fromMs, toMs)).toBeLessThan(50);
  });
});
