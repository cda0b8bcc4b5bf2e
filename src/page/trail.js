/** The way a machine went lately, to be marked in its chart. Pure. */
/** @import { Machine, Step } from './history.js' */
import { indexAt } from './history.js';

const MAX_STEPS = 40;

/**
 * Its steps since a time, but the last.
 * @param {Machine | undefined} machine
 * @param {number} sinceMs
 * @param {number} untilMs
 * @returns {readonly Step[]}
 */
export function trailOf(machine, sinceMs, untilMs) {
  if (!machine) return [];
  const { steps } = machine;
  const last = indexAt(steps, untilMs);
  const first = Math.max(indexAt(steps, sinceMs - 1) + 1, last - MAX_STEPS, 0);
  return steps.slice(first, Math.max(first, last));
}
