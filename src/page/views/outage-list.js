/** The outages as a table, the latest first; each can be looked at in the timeline. */
/** @import { Model } from '../model.js' */
/** @import { Outage } from '../outages.js' */
import { element } from '../dom.js';
import { clock, duration } from '../format.js';
import { causeOf } from '../words.js';

const MAX_ROWS = 50;

/**
 * @param {HTMLElement} host Body of the table
 * @param {(outage: Outage) => void} show
 */
export function createOutageList(host, show) {
  /** @type {string | null} */
  let shown = null;
  return {
    /** @param {Model} model */
    update({ outages }) {
      const latest = outages.slice(-MAX_ROWS).reverse();
      const key = latest.map(({ fromMs, toMs, listeningMs }) => `${fromMs} ${toMs} ${listeningMs}`).join();
      if (key === shown) return;
      shown = key;
      const rows = latest.map((outage, index) => rowOf(outage, outages.length - index, () => show(outage)));
      host.replaceChildren(
        ...(rows.length > 0
          ? rows
          : [element('tr', {}, [element('td', { colspan: 7, class: 'none' }, ['none so far'])])]),
      );
    },
  };
}

/** @param {Outage} outage @param {number} number @param {() => void} show */
function rowOf(outage, number, show) {
  const { fromMs, toMs, stoppedMs, listeningMs, end, epochBefore, epochAfter } = outage;
  const look = element('button', { type: 'button', class: 'link', title: `show outage ${number} in the timeline` }, [
    `${number}`,
  ]);
  look.addEventListener('click', show);
  const between = (/** @type {number | null} */ from, /** @type {number | null} */ to) =>
    from === null || to === null ? '' : duration(Math.max(0, to - from));
  const cells = [
    look,
    clock(fromMs),
    causeOf(outage).replace(/^server /, ''),
    between(stoppedMs, fromMs),
    between(stoppedMs, listeningMs),
    end === 'recovered' ? between(listeningMs ?? fromMs, toMs) : (end ?? 'not yet'),
    [epochBefore, epochAfter].filter((epoch) => epoch !== null).join(' → '),
  ];
  return element(
    'tr',
    {},
    cells.map((cell) => element('td', {}, [cell])),
  );
}
