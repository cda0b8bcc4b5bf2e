/** What the colours and icons mean. */
import { element, icon } from '../dom.js';
import { STATES } from '../states.js';

/** @param {HTMLElement} host */
export function writeLegend(host) {
  host.append(
    ...Object.entries(STATES).map(([state, { label, meaning, icon: strokes }]) =>
      element('li', {}, [
        element('span', { class: 'badge', 'data-state': state }, [icon(strokes)]),
        element('span', {}, [element('b', {}, [label]), `: ${meaning}`]),
      ]),
    ),
    element('li', {}, [element('span', { class: 'swatch taken' }), 'the last step of a statechart']),
    element('li', {}, [element('span', { class: 'swatch trail' }), 'the way since the last outage began']),
    element('li', {}, [
      element('span', { class: 'swatch outage' }),
      'outage: from the stop, or from noticing it, to the recovery',
    ]),
    element('li', {}, [element('span', { class: 'swatch missed' }), 'queries were misses for want of a server']),
  );
}
