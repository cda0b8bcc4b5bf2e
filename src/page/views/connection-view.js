/** Whether the page hears the feed. */
/** @import { Model } from '../model.js' */
import { setAttribute, setText } from '../dom.js';

/** @param {HTMLElement} host */
export function createConnectionView(host) {
  let isOpen = false;
  return {
    /** @param {boolean} next */
    setOpen(next) {
      isOpen = next;
    },
    /** @param {Model} model */
    update({ isLive, history }) {
      const kind = history.header === null && !isOpen ? 'waiting' : !isLive ? 'recording' : isOpen ? 'live' : 'lost';
      setAttribute(host, 'data-kind', kind);
      setText(host, WORDS[kind]);
    },
  };
}

const WORDS = {
  waiting: 'looking for the feed …',
  live: 'live',
  lost: 'feed lost, trying again …',
  recording: 'recording',
};
