import {
  budgetsFrom,
  FaultError,
  type RankReport,
  type SchedulerContext,
  type SchedulerEvent,
  schedulerMachine,
} from '../../machines/index.ts';
import {
  allConfirm,
  allQuiet,
  areSameBoots,
  noneProves,
  proofAskedIn,
  rankOfOtherScheduler,
  refusalIn,
  servesIn,
  unstoppedRank,
  upholds,
} from '../../machines/ranks/ranks.ts';
import { versionTold } from '../../machines/version-choice.ts';
import type { Plan } from './walk.ts';
import { faults, unreachable } from './walk-faults.ts';
import type { Tables } from './walk-tables.ts';

type Variants = { readonly [type in SchedulerEvent['type']]: readonly Extract<SchedulerEvent, { type: type }>[] };

/** One rank stands for all: what several say together is tested with the reports themselves. */
export const schedulerPlan = {
  machine: schedulerMachine,
  // With so little patience that the first refusal is the end of it: few situations lead there.
  input: {
    schedulerBootId: 'boot',
    worldSize: 1,
    budgets: budgetsFrom({ voidBackoffFirstMs: 10_000 }),
  },
  variants: (context: SchedulerContext): Variants => ({
    'link.opened': [{ type: 'link.opened' }],
    'link.ended': [
      { type: 'link.ended', cause: 'closed', fault: unreachable },
      { type: 'link.ended', cause: 'refused', fault: unreachable },
    ],
    'drain.announced': [{ type: 'drain.announced' }],
    'server.died': [{ type: 'server.died' }],
    'session.ended': [{ type: 'session.ended', fault: unreachable }],
    'rpc.failed': faults.map((fault) => ({ type: 'rpc.failed', fault })),
    'report.received': reportsFor(context).map((report) => ({ type: 'report.received', report })),
    'rank.missed': [true, false].map((isSilent) => ({ type: 'rank.missed', rank: 0, isSilent, fault: unreachable })),
    'announcement.delivered': [
      { type: 'announcement.delivered', epoch: context.announcement.epoch },
      { type: 'announcement.delivered', epoch: { schedulerBootId: 'another', counter: 1 } },
    ],
    'breaker.opened': [{ type: 'breaker.opened', breaker: 'saves', fault: unreachable }],
    'breaker.closed': [{ type: 'breaker.closed', breaker: 'saves' }],
    'blocks.withdrawn': [{ type: 'blocks.withdrawn', blocks: 1, fault: unreachable }],
    drain: [{ type: 'drain' }],
    resume: [{ type: 'resume' }],
    stop: [{ type: 'stop' }],
  }),
  outputs: {
    clear: [{ tookMs: 0 }, { tookMs: 1_000 }],
    survey: [{ kind: 'sealed' }, { kind: 'incomplete', registered: 0, expected: 1 }, { kind: 'notFound' }],
    probeVersion: ['0.23.12', '99.0.0'],
    unregisterAtStop: [
      { kind: 'clean' },
      { kind: 'unconfirmed', reason: 'not asked' },
      { kind: 'unreachable', reason: 'refused' },
    ],
  },
  errors: [...faults.map((fault) => new FaultError(fault)), new Error('unclassified'), undefined],
  situationIn: (context: SchedulerContext, path: string) => ({
    ...ofRanks(context),
    ...(schedulerTables.leaving.includes(path) ? {} : ofServer(context)),
  }),
} satisfies Plan<SchedulerContext>;

/** What the end depends on, too. */
function ofRanks({ announcement, reports, ...context }: SchedulerContext) {
  return {
    hasReport: reports[0] !== null,
    isStopped: unstoppedRank(reports) === undefined,
    isServing: servesIn(reports[0], announcement.epoch),
    isSilent: context.silentRanks.length > 0,
  };
}

function ofServer({ announcement, reports, published, ...context }: SchedulerContext) {
  const hasTrouble = context.failedGenerations >= 2;
  return {
    isKeep: announcement.action === 'keep',
    isConfirmed: allConfirm(reports, announcement.epoch),
    refusal: refusalIn(reports, announcement.epoch)?.fault?.kind ?? refusalIn(reports, announcement.epoch)?.outcome,
    isQuiet: allQuiet(reports, announcement),
    isFirstAtServer: context.isServerNew && !context.hasStrayed,
    isDeserted: rankOfOtherScheduler(reports, announcement) !== undefined,
    isProofAsked: proofAskedIn(reports, announcement.epoch) !== undefined,
    isProving: !noneProves(reports),
    isForProof: context.evidence?.of === 'doubt',
    isAwaited: context.awaitedRanks.length > 0,
    isApart: context.generationsApart > 0,
    mustRedial: context.mustRedial,
    published: published && { isUpheld: upholds(reports, published), isSameBoot: areSameBoots(reports, published) },
    hasTrouble,
    isVersionTold: versionTold({ announcement, reports, ...context }) !== null,
    isVersionTrouble: context.versionRefusals > 0,
    hasOffset: reports[0]?.layerWithOffset !== undefined,
    isPatienceOver: context.refusedAlike.count > 0,
    // The other two hold it back anyway.
    isPushedBack: !context.mustRedial && !hasTrouble && context.evidence?.fault.retryAfterMs !== undefined,
  };
}

/** What a rank may say: in this epoch and in others, as the process that is known, its successor and its predecessor. */
function reportsFor({ announcement: { epoch }, reports, formerWorkers }: SchedulerContext): RankReport[] {
  const held = reports[0]?.workerBootId ?? 'worker-1';
  const successor = `worker-${Number(held.split('-')[1]) + 1}`;
  const report = { rank: 0, workerBootId: held, sequence: 1, epoch, fault: null, idle: true, serves: false } as const;
  const outcomes = ['pending', 'registered', 'kept', 'failed', 'lost', 'stopped'] as const;
  return [
    ...outcomes.map((outcome) => ({ ...report, outcome })),
    { ...report, outcome: 'failed', fault: { kind: 'incompatible', message: 'another version' } },
    ...['0.23.12', '99.0.0'].map((serverVersion) => ({
      ...report,
      outcome: 'failed' as const,
      fault: { kind: 'incompatible' as const, message: 'version mismatch', serverVersion },
    })),
    { ...report, outcome: 'pending', layerWithOffset: 'l0' },
    { ...report, outcome: 'registered', idle: false },
    { ...report, outcome: 'registered', serves: true },
    { ...report, outcome: 'registered', serves: true, doubt: 'provable', asksProof: true },
    { ...report, outcome: 'pending', doubt: 'provable' },
    { ...report, outcome: 'registered', sequence: 0, epoch: { ...epoch, counter: epoch.counter - 1 } },
    { ...report, outcome: 'failed', epoch: { schedulerBootId: 'another', counter: 9 } },
    { ...report, outcome: 'pending', number: 0 },
    { ...report, outcome: 'pending', reaches: false },
    { ...report, outcome: 'pending', epoch: { schedulerBootId: 'another', counter: 9 }, turn: 1, former: ['boot'] },
    { ...report, outcome: 'pending', epoch: null, workerBootId: successor },
    { ...report, outcome: 'registered', workerBootId: successor },
    { ...report, outcome: 'failed', workerBootId: formerWorkers.at(-1)?.workerBootId ?? successor },
    { ...report, outcome: 'failed', rank: 1 },
  ];
}

const connected = ['connected.unaudited', 'connected.auditing', 'connected.serving'];
const reconnecting = ['reconnecting.dialing', 'reconnecting.waiting'];
const clearing = ['reRegistering.clearing.waiting', 'reRegistering.clearing.stalled'];
const sealing = ['reRegistering.sealing.waiting', 'reRegistering.sealing.stalled'];
const generation = [
  'reRegistering.openingSession',
  'reRegistering.surveying',
  'reRegistering.quiescing',
  ...clearing,
  'reRegistering.proving',
  'reRegistering.spreading',
  'reRegistering.awaitingRanks',
  'reRegistering.announcing',
  ...sealing,
  'reRegistering.readingBack',
  'reRegistering.backingOff',
  'reRegistering.parked',
];
const surveyed = ['degraded.surveying'];
const incompatible = ['incompatible.waiting', 'incompatible.probing'];
const drained = ['drained.quiescing', 'drained.sessionReleased'];
const stopping = ['stopping.stoppingRanks', 'stopping.unregistering'];

export const schedulerTables: Tables = {
  passedThrough: ['degraded.assessing', 'reRegistering.failed'],
  ignored: [
    {
      event: 'link.opened',
      because: 'a link says once that it is up, and only while it is dialled',
      in: [
        ...connected,
        ...surveyed,
        'degraded.missingRank',
        'degraded.unanswered',
        'degraded.draining',
        'reconnecting.waiting',
        ...generation,
        ...incompatible,
        ...drained,
        ...stopping,
      ],
    },
    { event: 'link.ended', because: 'there is no link', in: ['reconnecting.waiting', 'drained.sessionReleased'] },
    { event: 'link.ended', because: 'the stop goes on over a link of its own', in: stopping },
    { event: 'drain.announced', because: 'there is no link', in: [...reconnecting, 'drained.sessionReleased'] },
    { event: 'drain.announced', because: 'it is known', in: ['degraded.draining'] },
    {
      event: 'drain.announced',
      because: 'the session is about to be handed back',
      in: ['drained.quiescing', ...stopping],
    },
    { event: 'session.ended', because: 'there is no session', in: [...reconnecting, 'drained.sessionReleased'] },
    { event: 'session.ended', because: 'it is about to be handed back', in: ['drained.quiescing'] },
    { event: 'session.ended', because: 'nothing is served any more', in: stopping },
    {
      event: 'rpc.failed',
      because: 'it tells of a registration that is not in service',
      in: [
        'degraded.missingRank',
        'degraded.draining',
        ...reconnecting,
        ...generation,
        ...incompatible,
        ...drained,
        ...stopping,
      ],
    },
    {
      event: 'announcement.delivered',
      because: 'no announcement waits for its delivery',
      in: [
        ...connected,
        ...surveyed,
        'degraded.missingRank',
        'degraded.unanswered',
        'degraded.draining',
        ...reconnecting,
        ...generation.filter((state) => state !== 'reRegistering.announcing'),
        ...incompatible,
        ...drained,
        ...stopping,
      ],
    },
    {
      event: 'rank.missed',
      because: 'ranks are watched while they are in service',
      in: [
        'degraded.surveying',
        'degraded.unanswered',
        'degraded.missingRank',
        'degraded.draining',
        ...reconnecting,
        ...generation,
        ...incompatible,
        ...drained,
        ...stopping,
      ],
    },
    { event: 'drain', because: 'it is under way', in: drained },
    { event: 'drain', because: 'the stop ends more', in: stopping },
    {
      event: 'resume',
      because: 'nothing was drained',
      in: [
        ...connected,
        ...surveyed,
        'degraded.missingRank',
        'degraded.unanswered',
        'degraded.draining',
        ...reconnecting,
        ...generation,
        ...incompatible,
        ...stopping,
      ],
    },
    { event: 'stop', because: 'it is under way', in: stopping },
  ],
  endless: {
    'reRegistering.awaitingRanks': 'the ranks, by their next reports; a lost link or session ends it too',
    'reRegistering.announcing': 'the host, by its next step; a lost link or session ends it too',
  },
  leaving: [...stopping, 'stopped'],
};
