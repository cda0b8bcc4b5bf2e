/** Which stretch of time the timeline shows. Pure. */

/** @typedef {{ readonly kind: 'last'; readonly ms: number } | { readonly kind: 'all' } | { readonly kind: 'span'; readonly fromMs: number; readonly toMs: number }} Zoom */

/** So that the first second of a feed is not blown up to the whole width. */
const LEAST_MS = 5000;
/** Beside what is shown on purpose, as a share of it. */
const MARGIN = 0.25;

/**
 * @param {Zoom} zoom
 * @param {object} times
 * @param {number} times.fromMs The first that is known
 * @param {number} times.endMs The last
 * @param {number} times.atMs What is looked at
 * @returns {{ readonly fromMs: number; readonly toMs: number }}
 */
export function windowOf(zoom, { fromMs, endMs, atMs }) {
  if (zoom.kind === 'span') {
    const margin = Math.max(1, (zoom.toMs - zoom.fromMs) * MARGIN);
    return { fromMs: zoom.fromMs - margin, toMs: zoom.toMs + margin };
  }
  const wholeMs = Math.max(endMs - fromMs, LEAST_MS);
  if (zoom.kind === 'all' || zoom.ms >= wholeMs) return { fromMs: endMs - wholeMs, toMs: endMs };
  // With a little of what comes after, where it is known.
  const toMs = Math.min(endMs, atMs + zoom.ms * MARGIN);
  const from = Math.max(toMs - zoom.ms, fromMs);
  return { fromMs: from, toMs: from + zoom.ms };
}
