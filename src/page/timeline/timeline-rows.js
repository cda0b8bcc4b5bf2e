/** What lies where in the timeline. Pure. */
/** @import { History, Machine } from '../history.js' */
import { ranksOf, schedulerOf } from '../history.js';

/**
 * @typedef {object} TimelineRow
 * @property {'axis' | 'server' | 'machine' | 'ratio'} kind
 * @property {string} label Empty where there is no room for one
 * @property {Machine | null} machine
 * @property {number} y
 * @property {number} height
 */

const GAP_PX = 5;
/** Of all ranks together, where each is thinner than a label. */
const RANKS_PX = 96;
const LABELLED_RANKS = 8;

/**
 * @param {History} history
 * @param {string} instance
 * @param {number | null} selectedRank
 * @returns {{ readonly rows: readonly TimelineRow[]; readonly height: number }}
 */
export function timelineRows(history, instance, selectedRank) {
  /** @type {TimelineRow[]} */
  const rows = [];
  let y = 0;
  /** @param {TimelineRow['kind']} kind @param {string} label @param {number} height @param {Machine | null} machine @param {number} gap */
  const add = (kind, label, height, machine = null, gap = GAP_PX) => {
    rows.push({ kind, label, machine, y, height });
    y += height + gap;
  };
  add('axis', '', 16, null, 2);
  if (history.servers.length > 0) add('server', 'server', 14);
  const scheduler = schedulerOf(history, instance);
  if (scheduler) add('machine', 'scheduler', 22, scheduler);
  const ranks = ranksOf(history, instance);
  const isCrowded = ranks.length > LABELLED_RANKS;
  const selected = ranks.find(({ rank }) => rank === selectedRank);
  if (isCrowded && selected) add('machine', `rank ${selected.rank}`, 16, selected);
  const height = isCrowded ? RANKS_PX / ranks.length : 11;
  ranks.forEach((machine, index) => {
    const isLast = index === ranks.length - 1;
    const label = isCrowded ? (index === 0 ? `${ranks.length} ranks` : '') : `rank ${machine.rank}`;
    add('machine', label, height, machine, isLast ? GAP_PX + 3 : isCrowded ? 0 : 2);
  });
  add('ratio', 'hit ratio', 52);
  return { rows, height: Math.ceil(y) };
}

/** Milliseconds between two marks of the axis, finest first. */
const TICKS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5,
  288e5, 864e5,
];

/**
 * @param {number} msPerPx
 * @param {number} apartPx
 * @returns {number} milliseconds between two marks that are at least so far apart
 */
export function tickMs(msPerPx, apartPx) {
  return TICKS_MS.find((ms) => ms >= msPerPx * apartPx) ?? msPerPx * apartPx;
}
