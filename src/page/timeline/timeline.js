/** The timeline on its canvas: what is under the pointer, and where a click leads. */
/** @import { Model } from '../model.js' */
/** @import { TimelineRow } from './timeline-rows.js' */
import { setAttribute, setText } from '../dom.js';
import { clock, duration } from '../format.js';
import { indexAt, stepAt } from '../history.js';
import { ratioSpans } from './hit-ratio.js';
import { drawTimeline, GUTTER_PX, timeAt } from './timeline-draw.js';
import { createPaint } from './timeline-paint.js';
import { timelineRows } from './timeline-rows.js';

/**
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLElement} readout Told what is under the pointer
 * @param {object} owner
 * @param {(atMs: number, rank: number | null) => void} owner.pick
 * @param {() => void} owner.redraw
 */
export function createTimeline(canvas, readout, { pick, redraw }) {
  const brush = canvas.getContext('2d');
  if (!brush) throw new Error('this browser cannot draw on a canvas');
  /** @type {ReturnType<typeof createPaint> | null} */
  let paint = null;
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    paint = null;
    redraw();
  });
  new ResizeObserver(redraw).observe(canvas);
  /** @type {{ x: number; y: number } | null} */
  let pointer = null;
  /** @type {{ scale: import('./timeline-draw.js').Scale; rows: readonly TimelineRow[]; model: Model } | null} */
  let drawn = null;
  canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => {
    pointer = { x: offsetX, y: offsetY };
    redraw();
  });
  canvas.addEventListener('pointerleave', () => {
    pointer = null;
    redraw();
  });
  canvas.addEventListener('click', ({ offsetX, offsetY }) => {
    if (!drawn || offsetX < GUTTER_PX) return;
    pick(timeAt(drawn.scale, offsetX), rowAt(drawn.rows, offsetY)?.machine?.rank ?? null);
  });
  return {
    /** @param {Model} model */
    update(model) {
      const { rows, height } = timelineRows(model.history, model.instance, model.selectedRank);
      if (canvas.style.height !== `${height}px`) canvas.style.height = `${height}px`;
      const ratio = devicePixelRatio;
      const width = canvas.clientWidth;
      const [pixels, lines] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== pixels) canvas.width = pixels;
      if (canvas.height !== lines) canvas.height = lines;
      if (Number.isNaN(model.endMs)) return;
      paint ??= createPaint(brush);
      brush.setTransform(ratio, 0, 0, ratio, 0, 0);
      const scale = { ...model.window, width };
      drawn = { scale, rows, model };
      drawTimeline(brush, paint, scale, rows, height, model);
      setText(readout, pointer ? inWords(drawn, pointer) : hintOf(model));
      const machines = new Set(rows.flatMap(({ machine }) => (machine ? [machine.id] : []))).size;
      setAttribute(canvas, 'aria-label', `timeline of ${machines} machines with ${model.outages.length} outages`);
    },
  };
}

/** @param {Model} model */
function hintOf({ history: { truncatedBeforeMs } }) {
  const hint = 'Shaded: outages. Click to look at a moment.';
  if (truncatedBeforeMs === null) return hint;
  return `${hint} Of what was before ${clock(truncatedBeforeMs).slice(0, 8)} only the state is kept.`;
}

/** @param {readonly TimelineRow[]} rows @param {number} y */
function rowAt(rows, y) {
  return rows.find((row) => y >= row.y && y < row.y + row.height);
}

/**
 * @param {{ scale: import('./timeline-draw.js').Scale; rows: readonly TimelineRow[]; model: Model }} drawn
 * @param {{ x: number; y: number }} pointer
 */
function inWords({ scale, rows, model }, { x, y }) {
  if (x < GUTTER_PX) return hintOf(model);
  const atMs = timeAt(scale, x);
  const row = rowAt(rows, y);
  const { history, instance } = model;
  if (row?.kind === 'machine' && row.machine) {
    const step = stepAt(row.machine, atMs);
    const { steps, kind, rank } = row.machine;
    const untilMs = steps[indexAt(steps, atMs) + 1]?.atMs ?? model.endMs;
    const who = kind === 'scheduler' ? 'scheduler' : `rank ${rank}`;
    return `${clock(atMs)} · ${who}: ${step ? `${step.state}, ${duration(untilMs - step.atMs)} long` : 'not known yet'}`;
  }
  if (row?.kind === 'ratio') {
    const span = ratioSpans(history.caches.get(instance) ?? [], atMs, atMs).at(-1);
    if (!span) return clock(atMs);
    const share = span.ratio === null ? 'nothing asked' : `${Math.round(span.ratio * 100)} % of the blocks hit`;
    return `${clock(atMs)} · ${share}; ${span.missesDegraded} queries missed for want of a server`;
  }
  return clock(atMs);
}
