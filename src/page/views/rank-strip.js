/** One cell for each rank, by state; a click or an arrow key selects. */
/** @import { Model } from '../model.js' */
import { element, icon, setAttribute, setText } from '../dom.js';
import { duration, rankRange } from '../format.js';
import { ranksOf, stepAt } from '../history.js';
import { lookOf, topOf } from '../states.js';

/**
 * @param {HTMLElement} host
 * @param {HTMLElement} summary Told how many ranks are in which state
 * @param {(rank: number) => void} select
 */
export function createRankStrip(host, summary, select) {
  /** @type {Map<number, HTMLElement>} */
  let cells = new Map();
  host.addEventListener('click', ({ target }) => {
    const cell = target instanceof Element ? target.closest('[data-rank]') : null;
    if (cell) select(Number(cell.getAttribute('data-rank')));
  });
  host.addEventListener('keydown', (event) => {
    const ranks = [...cells.keys()];
    const at = ranks.indexOf(Number(document.activeElement?.getAttribute('data-rank') ?? 'NaN'));
    const next = ranks[at + (STEP_OF[event.key] ?? 0)];
    if (at < 0 || next === undefined || !(event.key in STEP_OF)) return;
    event.preventDefault();
    // The page's own arrow keys move in time.
    event.stopPropagation();
    select(next);
    cells.get(next)?.focus();
  });
  return {
    /** @param {Model} model */
    update({ history, instance, atMs, selectedRank }) {
      const ranks = ranksOf(history, instance);
      const numbers = ranks.map(({ rank }) => rank ?? 0);
      if (numbers.length !== cells.size || numbers.some((rank) => !cells.has(rank))) {
        cells = new Map(numbers.map((rank) => [rank, cellOf(rank)]));
        host.replaceChildren(...cells.values());
        setAttribute(host, 'data-size', numbers.length > 32 ? 'many' : 'few');
      }
      /** @type {Map<string, number[]>} */
      const byState = new Map();
      for (const machine of ranks) {
        const rank = machine.rank ?? 0;
        const step = stepAt(machine, atMs);
        const state = topOf(step?.state ?? 'gone');
        byState.set(state, [...(byState.get(state) ?? []), rank]);
        const cell = cells.get(rank);
        if (cell)
          show(
            cell,
            rank,
            state,
            step && `${step.state} for ${duration(Math.max(0, atMs - step.atMs))}`,
            rank === selectedRank,
          );
      }
      setText(summary, [...byState].map(([state, members]) => inWords(state, members, ranks.length)).join(' · '));
    },
  };
}

/** @type {Readonly<Record<string, number>>} */
const STEP_OF = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };

/** @param {number} rank */
function cellOf(rank) {
  return element('button', { class: 'cell', type: 'button', role: 'radio', 'data-rank': rank }, [
    element('span', { class: 'number' }, [`${rank}`]),
  ]);
}

/** @param {HTMLElement} cell @param {number} rank @param {string} state @param {string | null} detail @param {boolean} isSelected */
function show(cell, rank, state, detail, isSelected) {
  if (cell.dataset['state'] !== state) {
    cell.dataset['state'] = state;
    cell.querySelector('.icon')?.remove();
    cell.prepend(icon(lookOf(state).icon));
    setAttribute(cell, 'aria-label', `rank ${rank}: ${lookOf(state).label}`);
  }
  setAttribute(cell, 'title', `rank ${rank}: ${detail ?? 'nothing known yet'}`);
  setAttribute(cell, 'aria-checked', String(isSelected));
  setAttribute(cell, 'tabindex', isSelected ? '0' : '-1');
}

/** @param {string} state @param {number[]} ranks @param {number} worldSize */
function inWords(state, ranks, worldSize) {
  const { label } = lookOf(state);
  if (ranks.length === worldSize) return `${worldSize === 1 ? 'the one rank' : `all ${worldSize} ranks`} ${label}`;
  return ranks.length <= 3 ? `${rankRange(ranks)} ${label}` : `${ranks.length} ${label}`;
}
