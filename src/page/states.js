/** The states that a page shows, told apart by colour, by icon and by word. */

/**
 * @typedef {object} StateLook
 * @property {string} label For a heading
 * @property {string} meaning What it means for the host, in one sentence
 * @property {string} icon Strokes in a box of 16 by 16
 */

/** @satisfies {Record<string, StateLook>} */
export const STATES = {
  connected: { label: 'connected', meaning: 'the cache is used', icon: 'M3 8.5L6.5 12L13 4.5' },
  degraded: {
    label: 'degraded',
    meaning: 'finding out what was lost; queries are misses',
    icon: 'M8 2.5V9.2M8 12.2V13.2',
  },
  reconnecting: {
    label: 'reconnecting',
    meaning: 'dialling the server; queries are misses',
    icon: 'M12.6 8A4.6 4.6 0 1 1 10.9 4.4M11.3 1.6V4.8H8.1',
  },
  reRegistering: {
    label: 're-registering',
    meaning: 'every rank registers its memory with the server; queries are misses',
    icon: 'M8 13.5V3.5M4 7.5L8 3.5L12 7.5',
  },
  incompatible: {
    label: 'incompatible',
    meaning: 'the server speaks another version; asked slowly until one fits',
    icon: 'M3 6H13M3 10H13M10.5 2.5L5.5 13.5',
  },
  drained: { label: 'drained', meaning: 'handed back before a planned restart', icon: 'M5.5 3.5V12.5M10.5 3.5V12.5' },
  stopping: { label: 'stopping', meaning: 'unregistering for good', icon: 'M4.5 4.5H11.5V11.5H4.5Z' },
  stopped: { label: 'stopped', meaning: 'at its end', icon: 'M4 4L12 12M12 4L4 12' },
  gone: { label: 'gone', meaning: 'its process or its feed ended', icon: 'M4 8H12' },
};

/** Of a state that this page does not know. */
const UNKNOWN = { label: 'unknown', meaning: 'not known to this page', icon: 'M8 8H8.01' };

/**
 * The outermost part of a dotted path.
 * @param {string} state
 */
export function topOf(state) {
  const dot = state.indexOf('.');
  return dot < 0 ? state : state.slice(0, dot);
}

/**
 * @param {string} state Dotted path
 * @returns {StateLook}
 */
export function lookOf(state) {
  const top = topOf(state);
  return Object.hasOwn(STATES, top) ? STATES[/** @type {keyof typeof STATES} */ (top)] : UNKNOWN;
}

/**
 * Whether a state is `ancestor` or lies inside it; the empty path holds every state.
 * @param {string} state
 * @param {string} ancestor
 */
export function isWithin(state, ancestor) {
  return ancestor === '' || state === ancestor || state.startsWith(`${ancestor}.`);
}
