/** Outages, read off the scheduler's steps and what the owner of the server said. Pure. */
/** @import { History, Step } from './history.js' */
import { indexAt, schedulerOf } from './history.js';
import { topOf } from './states.js';

/**
 * @typedef {object} Outage
 * @property {number} fromMs When the cache was no longer used
 * @property {number | null} toMs When it was used again; `null` while it lasts
 * @property {'recovered' | 'stopped' | 'gone' | null} end How it ended: the cache used again, or its connector stopped or gone
 * @property {number | null} stoppedMs When the server was stopped, where somebody said it
 * @property {number | null} listeningMs When a server listened again, where somebody said it
 * @property {string | null} how How the server was stopped, where somebody said it
 * @property {boolean} isPlanned Whether the host had handed the server back before
 * @property {Step['evidence']} evidence The first observation that something was lost
 * @property {string | null} epochBefore
 * @property {string | null} epochAfter
 */

/** @type {ReadonlyMap<string, 'recovered' | 'stopped' | 'gone'>} by the state that ends an outage */
const ENDS = new Map([
  ['connected', 'recovered'],
  ['stopping', 'stopped'],
  ['stopped', 'stopped'],
  ['gone', 'gone'],
]);

/**
 * The times of one instance outside `connected`, in order, up to a time. The first connection is none.
 * @param {History} history
 * @param {string} instance
 * @param {number} untilMs
 * @returns {Outage[]}
 */
export function outagesOf(history, instance, untilMs) {
  const steps = schedulerOf(history, instance)?.steps ?? [];
  /** @type {Outage[]} */
  const outages = [];
  /** @type {Outage | null} */
  let current = null;
  // Where its beginning was forgotten, an outage is known by an epoch from before it.
  let wasConnected = history.truncatedBeforeMs !== null && typeof steps[0]?.epoch === 'string';
  /** @type {string | null} */
  let epoch = null;
  for (const step of steps.slice(0, indexAt(steps, untilMs) + 1)) {
    const top = topOf(step.state);
    if (current) {
      if (step.isEvidenceNew) current.evidence ??= step.evidence;
      const end = ENDS.get(top);
      if (end) {
        Object.assign(current, { toMs: step.atMs, end, epochAfter: step.epoch });
        current = null;
      }
    } else if (wasConnected && !ENDS.has(top)) {
      current = begun(step, epoch);
      outages.push(current);
    }
    wasConnected = top === 'connected';
    epoch = step.epoch ?? epoch;
  }
  addServer(outages, history.servers, untilMs);
  return outages;
}

/** @param {Step} step @param {string | null} epochBefore @returns {Outage} */
function begun({ atMs, state, evidence, isEvidenceNew }, epochBefore) {
  return {
    fromMs: atMs,
    toMs: null,
    end: null,
    stoppedMs: null,
    listeningMs: null,
    how: null,
    isPlanned: topOf(state) === 'drained',
    evidence: isEvidenceNew ? evidence : null,
    epochBefore,
    epochAfter: null,
  };
}

/**
 * The last stop before the end of an outage and after the end of the one before is taken for its cause: a frozen server
 * is noticed late.
 * @param {Outage[]} outages
 * @param {History['servers']} servers
 * @param {number} untilMs
 */
function addServer(outages, servers, untilMs) {
  let previousEndMs = Number.NEGATIVE_INFINITY;
  for (const outage of outages) {
    const endMs = outage.toMs ?? untilMs;
    const during = servers.filter(({ atMs }) => atMs > previousEndMs && atMs <= endMs);
    const stopped = during.findLast(({ what }) => what === 'stopped');
    if (stopped) {
      outage.stoppedMs = stopped.atMs;
      outage.how = stopped.how;
      outage.listeningMs = during.find(({ what, atMs }) => what === 'listening' && atMs >= stopped.atMs)?.atMs ?? null;
    }
    previousEndMs = endMs;
  }
}
