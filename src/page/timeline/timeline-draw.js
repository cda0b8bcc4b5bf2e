/** Draws the timeline: states of every machine over time, with the outages across all, and the hit ratio below. */
/** @import { Model } from '../model.js' */
/** @import { Paint } from './timeline-paint.js' */
/** @import { TimelineRow } from './timeline-rows.js' */
import { clock } from '../format.js';
import { indexAt } from '../history.js';
import { topOf } from '../states.js';
import { ratioSpans } from './hit-ratio.js';
import { tickMs } from './timeline-rows.js';

/** Left of the time, for labels. */
export const GUTTER_PX = 74;
const FONT = '11px system-ui, sans-serif';

/**
 * @typedef {object} Scale
 * @property {number} fromMs
 * @property {number} toMs
 * @property {number} width Of the whole canvas in pixels
 */

/** @param {Scale} scale @param {number} atMs @returns {number} pixels */
export function xOf({ fromMs, toMs, width }, atMs) {
  return GUTTER_PX + ((atMs - fromMs) / (toMs - fromMs)) * (width - GUTTER_PX);
}

/** @param {Scale} scale @param {number} x @returns {number} milliseconds */
export function timeAt({ fromMs, toMs, width }, x) {
  return fromMs + ((x - GUTTER_PX) / (width - GUTTER_PX)) * (toMs - fromMs);
}

/**
 * @param {CanvasRenderingContext2D} brush
 * @param {Paint} paint
 * @param {Scale} scale
 * @param {readonly TimelineRow[]} rows
 * @param {number} height
 * @param {Model} model
 */
export function drawTimeline(brush, paint, scale, rows, height, model) {
  brush.clearRect(0, 0, scale.width, height);
  if (scale.width <= GUTTER_PX) return;
  brush.font = FONT;
  brush.textBaseline = 'middle';
  brush.fillStyle = paint.muted;
  for (const { kind, label, y, height } of rows) {
    brush.fillText(label, 0, y + Math.max(height, 11) / 2);
    if (kind !== 'ratio') continue;
    brush.textAlign = 'right';
    brush.fillText('100 %', GUTTER_PX - 5, y + 4);
    brush.fillText('0', GUTTER_PX - 5, y + height - 3);
    brush.textAlign = 'left';
  }
  brush.save();
  brush.beginPath();
  brush.rect(GUTTER_PX, 0, scale.width - GUTTER_PX, height);
  brush.clip();
  drawAxis(brush, paint, scale, height);
  drawBands(brush, paint, scale, height, model);
  for (const row of rows) {
    if (row.kind === 'server') drawServer(brush, paint, scale, row, model);
    else if (row.kind === 'machine') drawMachine(brush, paint, scale, row, model);
    else if (row.kind === 'ratio') drawRatio(brush, paint, scale, row, model);
  }
  if (!model.isFollowing) {
    brush.fillStyle = paint.accent;
    brush.fillRect(xOf(scale, model.atMs) - 1, 0, 2, height);
  }
  brush.restore();
}

/** @param {CanvasRenderingContext2D} brush @param {Paint} paint @param {Scale} scale @param {number} height */
function drawAxis(brush, paint, scale, height) {
  const stepMs = tickMs((scale.toMs - scale.fromMs) / (scale.width - GUTTER_PX), 110);
  const firstMs = Math.ceil(scale.fromMs / stepMs) * stepMs;
  // Counted: where a clock is absurd, a step is too small to be added to a time.
  const last = Math.floor((scale.toMs - firstMs) / stepMs);
  for (let tick = 0; tick <= last; tick += 1) {
    const atMs = firstMs + tick * stepMs;
    const x = Math.round(xOf(scale, atMs));
    brush.fillStyle = paint.grid;
    brush.fillRect(x, 0, 1, height);
    brush.fillStyle = paint.muted;
    const text = stepMs < 1000 ? clock(atMs) : clock(atMs).slice(0, 8);
    if (x + 4 + brush.measureText(text).width <= scale.width) brush.fillText(text, x + 4, 7);
  }
}

/** @param {CanvasRenderingContext2D} brush @param {Paint} paint @param {Scale} scale @param {number} height @param {Model} model */
function drawBands(brush, paint, scale, height, { outages, endMs }) {
  for (const { fromMs, stoppedMs, toMs } of outages) {
    const from = xOf(scale, Math.min(fromMs, stoppedMs ?? fromMs));
    const width = Math.max(2, xOf(scale, toMs ?? endMs) - from);
    brush.fillStyle = paint.band;
    brush.fillRect(from, 16, width, height);
    brush.fillStyle = paint.bandEdge;
    brush.fillRect(from, 16, width, 2);
  }
}

/** @param {CanvasRenderingContext2D} brush @param {Paint} paint @param {Scale} scale @param {TimelineRow} row @param {Model} model */
function drawServer(brush, paint, scale, { y, height }, { history: { servers }, endMs }) {
  const middle = y + height / 2;
  let isUp = servers[0]?.what !== 'listening';
  let downBy = '';
  let from = scale.fromMs;
  for (const { atMs, what, how } of [...servers, { atMs: endMs, what: '', how: null }]) {
    const [x, width] = [xOf(scale, from), xOf(scale, atMs) - xOf(scale, from)];
    brush.fillStyle = paint.fillOf(isUp ? 'connected' : 'stopped');
    if (isUp) brush.fillRect(x, middle - 1.5, width, 3);
    else brush.fillRect(x, y, Math.max(width, 1), height);
    if (!isUp && width > brush.measureText(downBy).width + 10) {
      brush.fillStyle = paint.onState('stopped');
      brush.fillText(downBy, Math.max(x, GUTTER_PX) + 5, middle + 0.5);
    }
    if (what === 'stopped') downBy = how ?? 'stopped';
    if (what !== '') isUp = what === 'listening';
    from = Math.max(atMs, scale.fromMs);
  }
}

/** @param {CanvasRenderingContext2D} brush @param {Paint} paint @param {Scale} scale @param {TimelineRow} row @param {Model} model */
function drawMachine(brush, paint, scale, { machine, y: top, height: rowHeight }, { endMs }) {
  // Lines that are thinner than a pixel leave no gaps.
  const y = Math.round(top);
  const height = Math.max(1, Math.round(top + rowHeight) - y);
  const segments = segmentsOf(machine?.steps ?? [], scale, endMs);
  // What lasts less than a pixel is still to be seen among what is well.
  const isWell = (/** @type {Segment} */ { state }) => state === 'connected';
  for (const segment of [...segments.filter(isWell), ...segments.filter((one) => !isWell(one))]) {
    const x = xOf(scale, Math.max(segment.fromMs, scale.fromMs));
    const width = Math.max(xOf(scale, Math.min(segment.toMs, scale.toMs)) - x, isWell(segment) ? 0 : 1);
    const { state } = segment;
    if (state === 'gone') continue;
    brush.fillStyle = paint.fillOf(state);
    brush.fillRect(x, y, width, height);
    const pattern = height >= 8 && width >= 4 ? paint.patternOf(state) : null;
    if (pattern) {
      brush.fillStyle = pattern;
      brush.fillRect(x, y, width, height);
    }
    if (height >= 16 && width >= 20) drawIcon(brush, paint, state, x + width / 2, y + height / 2, height - 6);
  }
}

/** @param {CanvasRenderingContext2D} brush @param {Paint} paint @param {string} state @param {number} x @param {number} y @param {number} size */
function drawIcon(brush, paint, state, x, y, size) {
  brush.save();
  brush.fillStyle = paint.fillOf(state);
  brush.beginPath();
  brush.arc(x, y, size / 2 + 1, 0, 7);
  brush.fill();
  brush.translate(x - size / 2, y - size / 2);
  brush.scale(size / 16, size / 16);
  brush.strokeStyle = paint.onState(state);
  brush.lineWidth = 2;
  brush.lineCap = 'round';
  brush.stroke(paint.iconOf(state));
  brush.restore();
}

/** @typedef {{ fromMs: number; toMs: number; state: string }} Segment */

/**
 * Outermost states in a window, with neighbours of one state put together.
 * @param {readonly { readonly atMs: number; readonly state: string }[]} steps
 * @param {Scale} scale
 * @param {number} endMs
 */
function segmentsOf(steps, { fromMs, toMs }, endMs) {
  /** @type {Segment[]} */
  const segments = [];
  for (let at = Math.max(0, indexAt(steps, fromMs)); at < steps.length; at += 1) {
    const step = steps[at];
    if (!step || step.atMs > toMs) break;
    const untilMs = steps[at + 1]?.atMs ?? endMs;
    const state = topOf(step.state);
    const last = segments.at(-1);
    if (last?.state === state) last.toMs = untilMs;
    else segments.push({ fromMs: step.atMs, toMs: untilMs, state });
  }
  return segments;
}

/** @param {CanvasRenderingContext2D} brush @param {Paint} paint @param {Scale} scale @param {TimelineRow} row @param {Model} model */
function drawRatio(brush, paint, scale, { y, height }, { history, instance }) {
  const bottom = y + height;
  brush.fillStyle = paint.grid;
  for (const line of [y, y + height / 2, bottom]) brush.fillRect(GUTTER_PX, Math.round(line), scale.width, 1);
  for (const { fromMs, toMs, ratio, missesDegraded } of ratioSpans(
    history.caches.get(instance) ?? [],
    scale.fromMs,
    scale.toMs,
  )) {
    const [x, width] = [xOf(scale, fromMs), xOf(scale, toMs) - xOf(scale, fromMs)];
    if (missesDegraded > 0) {
      brush.fillStyle = paint.fillOf('degraded');
      brush.fillRect(x, bottom - 5, Math.max(width, 1), 5);
    }
    if (ratio === null) continue;
    brush.fillStyle = paint.accent;
    brush.globalAlpha = 0.16;
    brush.fillRect(x, bottom - ratio * height, width, ratio * height);
    brush.globalAlpha = 1;
    brush.fillRect(x, bottom - ratio * height - 1, Math.max(width, 1), 2);
  }
}
