/** An outage in words, for somebody who has never seen the project. Pure. */
/** @import { Outage } from './outages.js' */
import { duration } from './format.js';

/** How the demo ends a server. */
const HOW = new Map([
  ['kill', 'server killed'],
  ['kill at once', 'server killed, back at once'],
  ['graceful', 'server stopped gracefully'],
]);

/** What a connector noticed, where nobody said what had happened. */
const NOTICED = new Map([
  ['unreachable', 'server unreachable'],
  ['timedOut', 'server did not answer in time'],
  ['forgotten', 'server lost the registration'],
  ['incompatible', 'server speaks another version'],
  ['rejected', 'server refused a request'],
  ['defect', 'server answered what nobody knows'],
]);

/**
 * @param {Outage} outage
 * @returns {string} such as `server killed`
 */
export function causeOf({ how, stoppedMs, evidence, isPlanned }) {
  if (isPlanned) return 'drained for a planned restart';
  if (how !== null) return HOW.get(how) ?? `server stopped (${how})`;
  if (stoppedMs !== null) return 'server stopped';
  if (evidence) return NOTICED.get(evidence.kind) ?? evidence.kind;
  return 'cache not usable';
}

/**
 * @param {Outage} outage
 * @param {number} atMs
 * @returns {string} such as `server killed, 1.4 s, recovered 96 ms after the server was back`
 */
export function outageInWords(outage, atMs) {
  const cause = causeOf(outage);
  if (outage.toMs === null) return `${cause}, ${duration(Math.max(0, atMs - outage.fromMs))} so far`;
  const lasted = duration(outage.toMs - outage.fromMs);
  if (outage.end === 'stopped') return `${cause}, ${lasted}, ended by a stop`;
  if (outage.end === 'gone') return `${cause}, ${lasted}, then nothing more was heard of the connector`;
  if (outage.listeningMs === null) return `${cause}, recovered after ${lasted}`;
  return `${cause}, ${lasted}, recovered ${duration(outage.toMs - outage.listeningMs)} after the server was back`;
}

/**
 * @param {readonly { readonly what: string; readonly message: string }[]} troubles
 * @returns {string[]} one for each
 */
export function troublesInWords(troubles) {
  return troubles.map(({ what, message }) => `${what}: ${message}`);
}

/**
 * @param {{ readonly kind: string; readonly message: string } | null} evidence
 * @param {number | null} agoMs
 * @returns {string} what was noticed, in the connector's own words, and how long ago where that is known
 */
export function evidenceInWords(evidence, agoMs) {
  if (evidence === null) return 'nothing wrong was noticed so far';
  const ago = agoMs === null ? '' : `, ${duration(Math.max(0, agoMs))} ago`;
  return `last evidence${ago}: ${NOTICED.get(evidence.kind) ?? evidence.kind}: ${evidence.message}`;
}
