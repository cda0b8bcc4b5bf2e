/** The top of the page: how one instance is, in words. */
/** @import { Model } from '../model.js' */
import { element, icon, setAttribute, setText } from '../dom.js';
import { clock, duration } from '../format.js';
import { indexAt, ranksOf, schedulerOf, stepAt } from '../history.js';
import { outagesOf } from '../outages.js';
import { lookOf, topOf } from '../states.js';
import { evidenceInWords, outageInWords, troublesInWords } from '../words.js';

/**
 * @typedef {object} Headline
 * @property {string} state Outermost state of the scheduler; empty before one is known
 * @property {string} title Such as `replica-0: connected`
 * @property {string} since Such as `for 12 s`
 * @property {string} epoch Such as `epoch #7`; empty before the first
 * @property {string} meaning
 * @property {string} outage The last outage, or the one that lasts
 * @property {string} evidence
 */

/** @param {Pick<Model, 'history' | 'instance' | 'atMs'>} model @returns {Headline} */
export function headlineOf({ history, instance, atMs }) {
  const scheduler = schedulerOf(history, instance);
  const step = stepAt(scheduler, atMs);
  if (!scheduler || !step) {
    const title = history.header ? 'waiting for a connector' : 'waiting for the feed';
    return { state: '', title, since: '', epoch: '', meaning: '', outage: '', evidence: '' };
  }
  const state = topOf(step.state);
  const outages = outagesOf(history, instance, atMs);
  const last = outages.at(-1);
  const count = outages.length > 1 ? ` (of ${outages.length})` : '';
  return {
    state,
    title: `${instance}: ${lookOf(state).label}`,
    since: `for ${duration(Math.max(0, atMs - enteredMs(scheduler.steps, step, state)))}`,
    epoch: step.epoch === null ? '' : `epoch ${step.epoch}`,
    meaning: meaningOf(history, instance, state, atMs),
    outage: last
      ? `${last.toMs === null ? 'outage now' : 'last outage'}${count}: ${outageInWords(last, atMs)}`
      : history.truncatedBeforeMs === null
        ? 'no outage so far'
        : `no outage since ${clock(history.truncatedBeforeMs).slice(0, 8)}`,
    evidence: [
      ...troublesInWords(scheduler.troubles[indexAt(scheduler.troubles, atMs)]?.all ?? []),
      evidenceInWords(step.evidence, evidenceAgeMs(scheduler.steps, atMs)),
    ].join('; '),
  };
}

/** @param {import('../history.js').Step[]} steps @param {number} atMs */
function evidenceAgeMs(steps, atMs) {
  const noticed = steps.findLast((step) => step.isEvidenceNew && step.atMs <= atMs);
  return noticed ? atMs - noticed.atMs : null;
}

/** @param {import('../history.js').Step[]} steps @param {import('../history.js').Step} step @param {string} state */
function enteredMs(steps, step, state) {
  let at = steps.indexOf(step);
  while (at > 0 && topOf(steps[at - 1]?.state ?? '') === state) at -= 1;
  return steps[at]?.atMs ?? step.atMs;
}

/** @param {Model['history']} history @param {string} instance @param {string} state @param {number} atMs */
function meaningOf(history, instance, state, atMs) {
  const { meaning } = lookOf(state);
  if (state !== 'reRegistering') return meaning;
  const ranks = ranksOf(history, instance);
  if (ranks.length === 0) return meaning;
  const done = ranks.filter((rank) => topOf(stepAt(rank, atMs)?.state ?? '') === 'connected').length;
  return `${meaning} (${done} of ${ranks.length} ranks are done)`;
}

/** @param {HTMLElement} host */
export function createHeadline(host) {
  const badge = element('span', { class: 'badge' });
  const [title, since, epoch, meaning, outage, evidence] = [
    'title',
    'since',
    'epoch',
    'meaning',
    'outage',
    'evidence',
  ].map((name) => element(name === 'title' ? 'h1' : 'span', { class: name, id: `headline-${name}` }));
  const spoken = element('p', { class: 'spoken', role: 'status' });
  if (!title || !since || !epoch || !meaning || !outage || !evidence)
    throw new Error('a part of the headline is missing');
  const top = element('div', { class: 'top' }, [title, since, epoch, meaning]);
  const rest = element('div', { class: 'rest' }, [outage, evidence]);
  host.append(badge, element('div', { class: 'lines' }, [top, rest]), spoken);
  return {
    /** @param {Model} model */
    update(model) {
      const next = headlineOf(model);
      if (badge.dataset['state'] !== next.state) {
        badge.dataset['state'] = next.state;
        badge.replaceChildren(icon(lookOf(next.state).icon));
      }
      setAttribute(host, 'data-state', next.state);
      setText(title, next.title);
      setText(since, next.since);
      setText(epoch, next.epoch);
      setText(meaning, next.meaning);
      setText(outage, next.outage);
      setText(evidence, next.evidence);
      // Without what changes all the time.
      setText(spoken, next.title);
    },
  };
}
