/** What the server, the scheduler and the ranks said and did, in order; what all ranks do is said once. Pure. */
/** @import { History } from './history.js' */
import { rankRange } from './format.js';
import { indexAt, ranksOf, schedulerOf } from './history.js';
import { topOf } from './states.js';

/** @typedef {'server' | 'scheduler' | 'ranks'} Lane */

/**
 * One line: an arrow from lane to lane, or a state or mark that appears in one lane.
 * @typedef {object} Row
 * @property {string} key
 * @property {number} atMs Of the first
 * @property {number} untilMs Of the last that was put together with it
 * @property {Lane} from
 * @property {Lane} to
 * @property {string} look State whose look it has; `server.stopped` or `server.listening` for the server's
 * @property {string} what
 * @property {Set<number>} ranks
 */

/** @typedef {Omit<Row, 'untilMs' | 'ranks'> & { readonly rank: number | null; readonly joins: boolean }} Item */

/** Looked at before rows are made of them. */
const MAX_ITEMS = 3000;
const MAX_STEPS_PER_RANK = 60;

/**
 * The latest lines of one instance up to a time, oldest first.
 * @param {History} history
 * @param {string} instance
 * @param {number} untilMs
 * @param {number} maxRows
 * @returns {Row[]}
 */
export function sequenceOf(history, instance, untilMs, maxRows) {
  const items = [
    ...serverItems(history, untilMs),
    ...schedulerItems(history, instance, untilMs),
    ...rankItems(history, instance, untilMs),
    ...messageItems(history, instance, untilMs),
  ].sort((a, b) => a.atMs - b.atMs);
  return rowsFrom(items.slice(-MAX_ITEMS)).slice(-maxRows);
}

/**
 * @param {Row} row
 * @param {number} worldSize
 * @returns {string}
 */
export function rowInWords({ from, what, ranks }, worldSize) {
  if (from === 'server') return what;
  if (from === 'scheduler') return `scheduler: ${what}`;
  const isAll = worldSize > 1 && ranks.size === worldSize;
  return `${isAll ? `all ${worldSize} ranks` : rankRange([...ranks])}: ${what}`;
}

/** @param {Item[]} items @returns {Row[]} */
function rowsFrom(items) {
  /** @type {Row[]} */
  const rows = [];
  /** Since the scheduler's last line. @type {Map<string, Row>} */
  const open = new Map();
  for (const { rank, joins, ...item } of items) {
    const row = open.get(item.key);
    if (row && joins) {
      row.untilMs = item.atMs;
      if (rank !== null) row.ranks.add(rank);
      continue;
    }
    if (item.from !== 'ranks' && !joins) open.clear();
    /** @type {Row} */
    const opened = { ...item, untilMs: item.atMs, ranks: new Set(rank === null ? [] : [rank]) };
    rows.push(opened);
    open.set(item.key, opened);
  }
  return rows;
}

/** @param {History} history @param {number} untilMs @returns {Item[]} */
function serverItems({ servers }, untilMs) {
  return servers.slice(0, indexAt(servers, untilMs) + 1).map(({ atMs, what, how }) => ({
    ...between('server', 'server'),
    key: `server ${atMs}`,
    atMs,
    look: `server.${what}`,
    what: what === 'listening' ? 'server is listening' : `server stopped${how === null ? '' : ` (${how})`}`,
  }));
}

/** @param {History} history @param {string} instance @param {number} untilMs @returns {Item[]} */
function schedulerItems(history, instance, untilMs) {
  const steps = schedulerOf(history, instance)?.steps ?? [];
  const end = indexAt(steps, untilMs) + 1;
  /** @type {Item[]} */
  const items = [];
  for (const { atMs, from, state } of steps.slice(Math.max(0, end - MAX_ITEMS), end)) {
    const top = topOf(state);
    const isSame = topOf(from) === top;
    // Audits and dials are repeated for as long as nothing else happens.
    if (isSame && (top === 'connected' || top === 'reconnecting')) continue;
    items.push({
      ...between('scheduler', 'scheduler'),
      key: `scheduler ${atMs} ${state}`,
      atMs,
      look: top,
      what: isSame ? words(state.slice(top.length + 1)) : words(top),
    });
  }
  return items;
}

/** @param {History} history @param {string} instance @param {number} untilMs @returns {Item[]} */
function rankItems(history, instance, untilMs) {
  return ranksOf(history, instance).flatMap(({ rank, steps }) => {
    const end = indexAt(steps, untilMs) + 1;
    return steps
      .slice(Math.max(0, end - MAX_STEPS_PER_RANK), end)
      .filter(({ from, state }) => topOf(from) !== topOf(state))
      .map(({ atMs, state }) => ({
        ...between('ranks', 'ranks'),
        key: `ranks ${topOf(state)}`,
        joins: true,
        atMs,
        look: topOf(state),
        what: words(topOf(state)),
        rank,
      }));
  });
}

/** @param {History} history @param {string} instance @param {number} untilMs @returns {Item[]} */
function messageItems({ messages, machines }, instance, untilMs) {
  const end = indexAt(messages, untilMs) + 1;
  return messages.slice(Math.max(0, end - MAX_ITEMS), end).flatMap(({ atMs, from, to, name }) => {
    const sender = machines.get(from);
    if (sender?.instance !== instance) return [];
    const isAnnounced = sender.kind === 'scheduler';
    const rank = isAnnounced ? (machines.get(to)?.rank ?? null) : sender.rank;
    const lanes = isAnnounced ? between('scheduler', 'ranks') : between('ranks', 'scheduler');
    return [{ ...lanes, key: `${lanes.from} ${name}`, joins: true, atMs, look: '', what: name, rank }];
  });
}

/** @param {Lane} from @param {Lane} to @returns {Pick<Item, 'from' | 'to' | 'rank' | 'joins'>} */
function between(from, to) {
  return { from, to, rank: null, joins: false };
}

/** @param {string} name Such as `openingSession` or `sealing.waiting` */
function words(name) {
  return name
    .replaceAll('.', ', ')
    .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace('re registering', 're-registering');
}
