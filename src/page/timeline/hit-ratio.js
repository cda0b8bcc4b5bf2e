/** The hit ratio over time, from counts since the start. Pure. */
/** @import { Cache } from '../../feed/record.ts' */
import { indexAt } from '../history.js';

/**
 * @typedef {object} RatioSpan
 * @property {number} fromMs
 * @property {number} toMs
 * @property {number | null} ratio 0 to 1; `null` where nothing was asked
 * @property {number} missesDegraded Queries that were misses because the cache was not usable
 */

/**
 * One span between every two samples that touch a window.
 * @param {readonly Cache[]} samples In the order of time
 * @param {number} fromMs
 * @param {number} toMs
 * @returns {RatioSpan[]}
 */
export function ratioSpans(samples, fromMs, toMs) {
  /** @type {RatioSpan[]} */
  const spans = [];
  for (let at = Math.max(1, indexAt(samples, fromMs)); at < samples.length; at += 1) {
    const [before, after] = [samples[at - 1], samples[at]];
    if (!before || !after || before.atMs > toMs) break;
    if (after.atMs < fromMs) continue;
    // A scheduler that was replaced counts from 0.
    const base = after.queries < before.queries ? { askedBlocks: 0, hitBlocks: 0, missesDegraded: 0 } : before;
    const asked = after.askedBlocks - base.askedBlocks;
    spans.push({
      fromMs: before.atMs,
      toMs: after.atMs,
      ratio: asked > 0 ? (after.hitBlocks - base.hitBlocks) / asked : null,
      missesDegraded: after.missesDegraded - base.missesDegraded,
    });
  }
  return spans;
}
