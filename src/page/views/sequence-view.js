/** The sequence as lines: when, between whom, and what. */
/** @import { Model } from '../model.js' */
/** @import { Lane, Row } from '../sequence.js' */
import { drawing, element } from '../dom.js';
import { clock, duration } from '../format.js';
import { ranksOf } from '../history.js';
import { rowInWords, sequenceOf } from '../sequence.js';
import { lookOf } from '../states.js';

const MAX_ROWS = 80;

/** Middle of each lane in pixels. @type {Readonly<Record<Lane, number>>} */
const X_OF = { server: 12, scheduler: 46, ranks: 80 };
const WIDTH_PX = 92;
const HEIGHT_PX = 22;
const MIDDLE_PX = HEIGHT_PX / 2;

/** @param {HTMLElement} host */
export function createSequenceView(host) {
  /** @type {Map<string, HTMLElement>} */
  let shown = new Map();
  let drawn = '';
  return {
    /** @param {Model} model */
    update({ history, instance, atMs, isFollowing }) {
      const moment = `${instance} ${history.revision} ${isFollowing ? '' : atMs}`;
      if (moment === drawn) return;
      drawn = moment;
      const worldSize = ranksOf(history, instance).length;
      const rows = sequenceOf(history, instance, atMs, MAX_ROWS);
      const isAtEnd = host.scrollTop + host.clientHeight >= host.scrollHeight - HEIGHT_PX;
      const next = new Map(
        rows.map((row) => {
          const key = `${row.atMs} ${row.key} ${row.ranks.size} ${worldSize}`;
          return [key, shown.get(key) ?? lineOf(row, worldSize)];
        }),
      );
      if (next.size === shown.size && [...next.keys()].every((key) => shown.has(key))) return;
      shown = next;
      host.replaceChildren(...next.values());
      if (isAtEnd) host.scrollTop = host.scrollHeight;
    },
  };
}

/** @param {Row} row @param {number} worldSize */
function lineOf(row, worldSize) {
  const words = rowInWords(row, worldSize);
  const took = row.untilMs > row.atMs ? `, for ${duration(row.untilMs - row.atMs)}` : '';
  return element('li', { title: `${clock(row.atMs)}${took}: ${words}` }, [
    element('time', {}, [clock(row.atMs).slice(3)]),
    lanesOf(row),
    element('span', { class: 'words' }, [words]),
  ]);
}

/** @param {Row} row */
function lanesOf({ from, to, look }) {
  const lines = Object.values(X_OF).map((x) => drawing('path', { class: 'lane', d: `M${x} 0V${HEIGHT_PX}` }));
  const size = {
    class: 'lanes',
    width: WIDTH_PX,
    height: HEIGHT_PX,
    viewBox: `0 0 ${WIDTH_PX} ${HEIGHT_PX}`,
    'aria-hidden': 'true',
  };
  return drawing('svg', size, [...lines, ...(from === to ? markOf(X_OF[from], look) : arrow(X_OF[from], X_OF[to]))]);
}

/** @param {number} fromX @param {number} toX */
function arrow(fromX, toX) {
  const back = Math.sign(fromX - toX) * 6;
  const head = `M${toX + back} ${MIDDLE_PX - 4}L${toX} ${MIDDLE_PX}L${toX + back} ${MIDDLE_PX + 4}`;
  return [drawing('path', { class: 'arrow', d: `M${fromX} ${MIDDLE_PX}H${toX}${head}` })];
}

/** @param {number} x @param {string} look */
function markOf(x, look) {
  const at = `translate(${x - 6} ${MIDDLE_PX - 6}) scale(.75)`;
  const strokes =
    look === 'server.stopped'
      ? lookOf('stopped').icon
      : look === 'server.listening'
        ? lookOf('connected').icon
        : lookOf(look).icon;
  return [
    drawing('g', { class: 'mark', 'data-state': look }, [
      drawing('circle', { cx: x, cy: MIDDLE_PX, r: 9 }),
      drawing('path', { d: strokes, transform: at }),
    ]),
  ];
}
