/** One button for each instance; none where there is only one. */
/** @import { Model } from '../model.js' */
import { element, icon, setAttribute } from '../dom.js';
import { instancesOf, schedulerOf, stepAt } from '../history.js';
import { lookOf, topOf } from '../states.js';

/** @param {HTMLElement} host @param {(instance: string) => void} select */
export function createInstanceTabs(host, select) {
  /** @type {Map<string, HTMLElement>} */
  let tabs = new Map();
  return {
    /** @param {Model} model */
    update({ history, instance: selected, atMs }) {
      const all = instancesOf(history);
      const names = all.length > 1 ? all : [];
      if (names.join('\n') !== [...tabs.keys()].join('\n')) {
        tabs = new Map(names.map((name) => [name, tabOf(name, () => select(name))]));
        host.replaceChildren(...tabs.values());
      }
      for (const [name, tab] of tabs) {
        setAttribute(tab, 'aria-pressed', String(name === selected));
        const state = topOf(stepAt(schedulerOf(history, name), atMs)?.state ?? 'gone');
        if (tab.dataset['state'] === state) continue;
        tab.dataset['state'] = state;
        tab.querySelector('.icon')?.remove();
        tab.prepend(icon(lookOf(state).icon));
      }
    },
  };
}

/** @param {string} name @param {() => void} select */
function tabOf(name, select) {
  const tab = element('button', { type: 'button', class: 'tab' }, [name]);
  tab.addEventListener('click', select);
  return tab;
}
