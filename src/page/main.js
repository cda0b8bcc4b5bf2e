/** Puts the page together: records in, one model out, every part drawn from it once a frame. */
/** @import { Model } from './model.js' */
/** @import { Zoom } from './timeline/zoom.js' */

import { byId, setText } from './dom.js';
import { accept, createHistory, instancesOf, ranksOf, schedulerOf, stepAt } from './history.js';
import { outagesOf } from './outages.js';
import { advance, createPlayer, follow, seek, togglePlay } from './player.js';
import { listen } from './source.js';
import { createTimeline } from './timeline/timeline.js';
import { windowOf } from './timeline/zoom.js';
import { trailOf } from './trail.js';
import { createChartView } from './views/chart-view.js';
import { createConnectionView } from './views/connection-view.js';
import { createHeadline } from './views/headline.js';
import { createInstanceTabs } from './views/instance-tabs.js';
import { writeLegend } from './views/legend.js';
import { nextStepMs } from './views/next-step.js';
import { createOutageList } from './views/outage-list.js';
import { createRankStrip } from './views/rank-strip.js';
import { createSequenceView } from './views/sequence-view.js';
import { createTransport } from './views/transport.js';

/** How often what depends on the time of day is drawn where nothing happens. */
const IDLE_FRAME_MS = 250;

/** So that a recording is first seen in service. */
const AFTER_RECOVERY_MS = 200;

const history = createHistory();
const player = createPlayer();
let instance = '';
/** @type {number | null} */
let selectedRank = null;
let drawnAtMs = 0;
/** @type {Zoom} */
let zoom = { kind: 'last', ms: 120_000 };
let isScheduled = false;
/** What was told before comes in one go, and is drawn once. */
let isCatchingUp = false;

function modelNow() {
  const instances = instancesOf(history);
  if (!instances.includes(instance)) instance = instances[0] ?? '';
  const ranks = ranksOf(history, instance);
  if (!ranks.some(({ rank }) => rank === selectedRank)) selectedRank = ranks[0]?.rank ?? null;
  const isLive = history.header?.isLive ?? true;
  const endMs = isLive ? Math.max(Date.now(), history.toMs || 0) : history.toMs;
  const fromMs = Number.isNaN(history.fromMs) ? endMs : history.fromMs;
  const atMs = player.atMs ?? endMs;
  /** @type {Model} */
  const model = {
    history,
    instance,
    selectedRank,
    fromMs,
    endMs,
    atMs,
    isFollowing: player.atMs === null,
    isLive,
    isPlaying: player.isPlaying,
    outages: outagesOf(history, instance, endMs),
    zoom,
    window: windowOf(zoom, { fromMs, endMs, atMs }),
  };
  return model;
}

function draw() {
  isScheduled = false;
  const nowMs = performance.now();
  advance(player, nowMs - drawnAtMs, modelNow().endMs);
  drawnAtMs = nowMs;
  const model = modelNow();
  for (const part of parts) part.update(model);
  drawCharts(model);
  document.documentElement.dataset['drawn'] = String(history.revision);
  if (player.isPlaying) schedule();
}

/** @param {Model} model */
function drawCharts({ outages, atMs }) {
  const scheduler = schedulerOf(history, instance);
  const rank = ranksOf(history, instance).find((machine) => machine.rank === selectedRank);
  const charts = history.header?.charts;
  const sinceMs = outages.findLast(({ fromMs }) => fromMs <= atMs)?.fromMs ?? Number.NEGATIVE_INFINITY;
  const [schedulerStep, rankStep] = [stepAt(scheduler, atMs), stepAt(rank, atMs)];
  schedulerChart.update(charts?.scheduler ?? null, schedulerStep, trailOf(scheduler, sinceMs, atMs));
  rankChart.update(charts?.worker ?? null, rankStep, trailOf(rank, sinceMs, atMs));
  setText(byId('rank-title'), rank ? `Rank ${selectedRank}` : 'Rank');
  setText(byId('scheduler-step'), stepInWords(schedulerStep));
  setText(byId('rank-step'), stepInWords(rankStep));
}

/** @param {import('./history.js').Step | null} step */
function stepInWords(step) {
  if (step === null) return '';
  return step.event === '' ? step.state : `${step.from} → ${step.state} on ${step.event}`;
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(draw);
}

/** @param {number} atMs */
function pause(atMs) {
  player.isPlaying = false;
  seek(player, atMs, modelNow());
  schedule();
}

const schedulerChart = createChartView(byId('scheduler-chart'), 'scheduler');
const rankChart = createChartView(byId('rank-chart'), 'rank');
const connection = createConnectionView(byId('connection'));
const parts = [
  connection,
  createInstanceTabs(byId('instances'), (name) => {
    instance = name;
    schedule();
  }),
  createHeadline(byId('headline')),
  createRankStrip(byId('ranks'), byId('ranks-summary'), (rank) => {
    selectedRank = rank;
    schedule();
  }),
  createTimeline(/** @type {HTMLCanvasElement} */ (byId('timeline')), byId('readout'), {
    pick: (atMs, rank) => {
      selectedRank = rank ?? selectedRank;
      pause(atMs);
    },
    redraw: schedule,
  }),
  createTransport(byId('transport'), {
    seek: pause,
    step: (direction) => pause(nextStepMs(modelNow(), direction)),
    togglePlay: () => {
      togglePlay(player, modelNow());
      drawnAtMs = performance.now();
      schedule();
    },
    follow: () => {
      follow(player);
      schedule();
    },
    setSpeed: (speed) => {
      player.speed = speed;
    },
    setZoom: (next) => {
      zoom = next;
      schedule();
    },
  }),
  createSequenceView(byId('sequence')),
  createOutageList(byId('outages'), ({ fromMs, stoppedMs, toMs }) => {
    zoom = { kind: 'span', fromMs: Math.min(fromMs, stoppedMs ?? fromMs), toMs: toMs ?? modelNow().endMs };
    pause(fromMs);
  }),
];
writeLegend(byId('legend'));
setInterval(() => {
  if (player.atMs === null && (history.header?.isLive ?? true)) schedule();
}, IDLE_FRAME_MS);
void listen('feed', {
  onRecord: (record) => {
    accept(history, record);
    if (record.type === 'header') {
      isCatchingUp = true;
      if (!record.isLive) zoom = { kind: 'all' };
    }
    if (!isCatchingUp) schedule();
  },
  onOpen: (isOpen) => {
    connection.setOpen(isOpen);
    schedule();
  },
  onCaughtUp: () => {
    // What one wants to understand of a recording is mostly its last outage, and what is left of it.
    isCatchingUp = false;
    schedule();
    const { isLive, outages, fromMs, endMs } = modelNow();
    if (isLive) return;
    const recoveredMs = outages.findLast(({ end }) => end === 'recovered')?.toMs;
    if (player.atMs === null && recoveredMs) seek(player, recoveredMs + AFTER_RECOVERY_MS, { fromMs, endMs });
  },
});
schedule();
