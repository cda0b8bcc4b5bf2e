/** Colours and patterns of the timeline, from the page's style sheet. */
import { lookOf, STATES } from '../states.js';

/** @typedef {ReturnType<typeof createPaint>} Paint */

/** Lines in a tile of 6 by 6, so that states differ in more than colour. @type {Readonly<Record<string, string>>} */
const TILES = {
  degraded: 'M-1 7L7 -1M-1 1L1 -1M5 7L7 5',
  reconnecting: 'M1.5 0V6M4.5 0V6',
  reRegistering: 'M0 3H6',
  incompatible: 'M0 0L6 6M6 0L0 6',
  drained: 'M3 0V6',
  stopping: 'M0 3H6M3 0V6',
};

/** @param {CanvasRenderingContext2D} context */
export function createPaint(context) {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const states = [...Object.keys(STATES), 'unknown'];
  /** Of icons and patterns on a state's colour. @param {string} state */
  const onOf = (state) => colour(`on-${state}`) || colour('on-state');
  const fills = new Map(states.map((state) => [state, colour(`state-${state}`)]));
  const patterns = new Map(Object.entries(TILES).map(([state, lines]) => [state, tile(context, lines, onOf(state))]));
  const icons = new Map(states.map((state) => [state, new Path2D(lookOf(state).icon)]));
  return {
    ink: colour('ink'),
    muted: colour('muted'),
    grid: colour('line'),
    band: colour('band'),
    bandEdge: colour('band-edge'),
    accent: colour('accent'),
    onState: onOf,
    fillOf: (/** @type {string} */ state) => fills.get(state) ?? fills.get('unknown') ?? '',
    patternOf: (/** @type {string} */ state) => patterns.get(state) ?? null,
    iconOf: (/** @type {string} */ state) => icons.get(state) ?? icons.get('unknown') ?? new Path2D(),
  };
}

/** @param {CanvasRenderingContext2D} context @param {string} lines @param {string} colour */
function tile(context, lines, colour) {
  const canvas = new OffscreenCanvas(6, 6);
  const brush = canvas.getContext('2d');
  if (!brush) return null;
  brush.strokeStyle = colour;
  brush.globalAlpha = 0.45;
  brush.stroke(new Path2D(lines));
  return context.createPattern(canvas, 'repeat');
}
