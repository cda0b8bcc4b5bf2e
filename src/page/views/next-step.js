/** Where the arrow keys lead. Pure. */
/** @import { Model } from '../model.js' */
import { indexAt, ranksOf, schedulerOf } from '../history.js';

/**
 * The next moment, or the one before, at which the scheduler, the selected rank or the server did something.
 * @param {Pick<Model, 'history' | 'instance' | 'selectedRank' | 'atMs' | 'fromMs' | 'endMs'>} model
 * @param {1 | -1} direction
 * @returns {number} the end, or the beginning, where there is none
 */
export function nextStepMs({ history, instance, selectedRank, atMs, fromMs, endMs }, direction) {
  const rank = ranksOf(history, instance).find((machine) => machine.rank === selectedRank);
  const lists = [schedulerOf(history, instance)?.steps ?? [], rank?.steps ?? [], history.servers];
  const times = lists.flatMap((items) => {
    const last = indexAt(items, atMs);
    // Several things may happen at the shown time itself.
    const item = direction > 0 ? items[last + 1] : items.slice(0, last + 1).findLast((one) => one.atMs < atMs);
    return item ? [item.atMs] : [];
  });
  return direction > 0 ? Math.min(endMs, ...times) : Math.max(fromMs, ...times);
}
