/** What the scheduler's statechart is made of: its context and events, and every actor, guard, action and delay by name. */
import {
  assign,
  type ErrorActorEvent,
  emit,
  enqueueActions,
  fromCallback,
  fromPromise,
  setup,
  spawnChild,
  stopChild,
} from 'xstate';
import {
  hasOutlived,
  type Lives,
  lifeDelays,
  longestWait,
  pushbackMs,
  schedulerBackoffs,
  spreadCeilingMs,
} from './backoff.ts';
import { breakerMachine } from './breaker.ts';
import type { Budgets } from './budgets.ts';
import { dialOutcome } from './events/dial-outcome.ts';
import type { BreakerName, PassedOnEvent, SchedulerDomainEvent, StalledEvent } from './events/domain-events.ts';
import {
  type Effect,
  generationBegan,
  generationFailed,
  inService,
  type OutageContext,
  outOfService,
  stopped,
} from './events/outage-events.ts';
import {
  apartEvidence,
  type Evidence,
  isWorkStall,
  otherSchedulerEvidence,
  rankEvidence,
  surveyEvidence,
} from './evidence.ts';
import { type Fault, isDenial, type LinkEndCause } from './faults.ts';
import { type Epoch, isSameEpoch } from './ranks/epoch.ts';
import { atHeldLimit, heldLimitFault } from './ranks/held-limit.ts';
import type { Announcement, RankReport, Survey, SurveyInput } from './ranks/messages.ts';
import {
  allConfirm,
  allQuiet,
  areSameBoots,
  type FormerWorker,
  isFormer,
  isLate,
  noneProves,
  type PublishedGeneration,
  proofAskedIn,
  publishedFrom,
  type RankReports,
  rankOfOtherScheduler,
  recallsFor,
  refusalIn,
  refutes,
  unquietRanks,
  unservingRanks,
  unstoppedRank,
  upholds,
} from './ranks/ranks.ts';
import { allowsVersion, type ServerVersions } from './server-versions.ts';
import { unprovided } from './unprovided.ts';
import { isUsable, objectionTo, versionToAnnounce, versionTold } from './version-choice.ts';

export interface SchedulerInput {
  readonly schedulerBootId: string;
  /** Ranks that make an instance whole. */
  readonly worldSize: number;
  readonly budgets: Budgets;
  /** Default `tested`. */
  readonly serverVersions?: ServerVersions;
  /** Share of a rank's blocks in any group. Default 0.25. */
  readonly maxHeldBlocksShare?: number;
}

export interface SchedulerContext extends SchedulerInput, OutageContext, Lives {
  readonly serverVersions: ServerVersions;
  readonly maxHeldBlocksShare: number;
  /** A rank holds so much memory for a server that is silent or gone that no more is put at risk. */
  readonly isAtHeldLimit: boolean;
  /** The version that the server named in a refusal, or took a registration with, last. `null`: there was none yet. */
  readonly serverVersion: string | null;
  /** Generations in a row that a server refused because of its version, on one link: a server does not change it. */
  readonly versionRefusals: number;
  readonly reports: RankReports;
  /** The generation in service, or the last one as long as nothing refuted it. */
  readonly published: PublishedGeneration | null;
  readonly failedAttempts: number;
  /** Attempts in a row whose link ended otherwise than by a refused dial: a server that sheds load, a proxy without one. */
  readonly droppedDials: number;
  readonly failedGenerations: number;
  /** Generations in a row that the server refused in the same words. */
  readonly refusedAlike: { readonly words: string; readonly count: number };
  /** The process that held the last registration is proved to be dead: what listens now never mapped our memory. */
  readonly isServerNew: boolean;
  /** How long the server took for the last clear, in milliseconds: its registration thread serves one call at a time. */
  readonly clearTookMs: number;
  /** Ranks whose absence was told, and whose return was not. */
  readonly missedRanks: readonly number[];
  /** Those of them that were not heard since. */
  readonly silentRanks: readonly number[];
  /** Ranks without which nothing is registered again: they were away for too long. */
  readonly awaitedRanks: readonly number[];
  /** Generations in a row that no rank's server and the scheduler's agree on; from the second on they are not the same. */
  readonly generationsApart: number;
  /** Ranks registered at a server that is not the scheduler's: what it holds is out of reach. */
  readonly hasStrayed: boolean;
  /** The roles are at different servers, and the link is older than the finding. */
  readonly mustRedial: boolean;
  /** Worker processes that were replaced: their late words count for nothing. Bounded. */
  readonly formerWorkers: readonly FormerWorker[];
  /** Set when the machine stops. */
  readonly stopOutcome: StopOutcome | null;
}

/** Whether nothing of this instance is left at the server. */
export type StopOutcome = { readonly kind: 'clean' } | { readonly kind: 'unconfirmed'; readonly reason: string };

export type SchedulerEvent =
  | { readonly type: 'link.opened' }
  | { readonly type: 'link.ended'; readonly cause: LinkEndCause; readonly fault: Fault }
  | { readonly type: 'drain.announced' }
  /** The process that held the last registration is gone. No other observation says so. */
  | { readonly type: 'server.died' }
  | { readonly type: 'session.ended'; readonly fault: Fault }
  | { readonly type: 'rpc.failed'; readonly fault: Fault }
  | { readonly type: 'report.received'; readonly report: RankReport }
  /** A rank does not serve, or was not heard, for longer than is borne. */
  | { readonly type: 'rank.missed'; readonly rank: number; readonly isSilent: boolean; readonly fault: Fault }
  | { readonly type: 'announcement.delivered'; readonly epoch: Epoch }
  | PassedOnEvent
  /** The server is about to be restarted: let go of it. */
  | { readonly type: 'drain' }
  | { readonly type: 'resume' }
  | { readonly type: 'stop' };

/** What the `clear` actor tells when the server has answered. */
export interface Cleared {
  readonly tookMs: number;
}

/** What the `unregisterAtStop` actor tells: `unreachable` where nobody was there to be asked. */
export type UnregisteredAtStop = StopOutcome | { readonly kind: 'unreachable'; readonly reason: string };

type LifeParams = Pick<Lives, 'life'>;
type FaultParams = { readonly fault: Fault };
type SurveyParams = { readonly survey: Survey };
type MissedParams = { readonly rank: number; readonly isSilent: boolean; readonly fault: Fault };
type VersionParams = { readonly version: string };
type StalledParams = Pick<StalledEvent, 'call'>;
type AuditParams = { readonly outcome: 'sealed' | 'refuted' | 'failed' };

export const NOT_REFUSED = { words: '', count: 0 } as const;

export const schedulerSetup = setup({
  types: {} as {
    context: SchedulerContext;
    events: SchedulerEvent | ErrorActorEvent;
    input: SchedulerInput;
    output: StopOutcome;
    emitted: SchedulerDomainEvent;
    tags: 'cacheUsable' | 'stalled' | 'releasingSession' | 'parked';
    children: { readonly [breaker in BreakerName]: 'breaker' };
  },
  actors: {
    /** Owns one link and its session from the dial to the end: `link.opened`, then facts. */
    link: fromCallback<SchedulerEvent>(unprovided('link')),
    openSession: fromPromise<void>(unprovided('openSession')),
    survey: fromPromise<Survey, SurveyInput | undefined>(unprovided('survey')),
    /** Tells of ranks that do not serve, or are not heard: `rank.missed`. */
    watchRanks: fromCallback<SchedulerEvent>(unprovided('watchRanks')),
    clear: fromPromise<Cleared>(unprovided('clear')),
    /** Tells the server's version. */
    probeVersion: fromPromise<string>(unprovided('probeVersion')),
    /** Unregisters over whatever link there is, or a fresh one. */
    unregisterAtStop: fromPromise<UnregisteredAtStop>(unprovided('unregisterAtStop')),
    breaker: breakerMachine,
  },
  guards: {
    isLinkLost: ({ context }) => context.evidence?.of === 'link' || context.evidence?.of === 'session',
    isIntact: ({ context }, { survey }: SurveyParams) =>
      survey.kind === 'sealed' && context.published !== null && upholds(context.reports, context.published),
    isSealed: (_, { survey }: SurveyParams) => survey.kind === 'sealed',
    isSealedAndConfirmed: ({ context }, { survey }: SurveyParams) =>
      survey.kind === 'sealed' && allConfirm(context.reports, context.announcement.epoch),
    areRanksQuiet: ({ context }) => allQuiet(context.reports, context.announcement),
    /**
     * The server has nothing of the instance, and no copy that it began before it lost that can run: a rank that was never heard
     * had nothing there, and a process that came after the death of the last one neither.
     */
    isNothingMapped: ({ context: { reports, isServerNew, hasStrayed } }, { survey }: SurveyParams) =>
      survey.kind === 'notFound' && (reports.includes(null) || (isServerNew && !hasStrayed)),
    isProofAsked: ({ context }) => proofAskedIn(context.reports, context.announcement.epoch) !== undefined,
    /** Nothing speaks against the registration, so a clear that would meet a running copy can wait. */
    isForProofAlone: ({ context: { evidence, published, reports } }) =>
      evidence?.of === 'doubt' && published !== null && upholds(reports, published),
    areDoubtsOver: ({ context }) => noneProves(context.reports),
    areRanksStopped: ({ context }) => unstoppedRank(context.reports) === undefined,
    areRanksConfirmed: ({ context }) => allConfirm(context.reports, context.announcement.epoch),
    areRanksServing: ({ context: { reports, announcement, silentRanks } }) =>
      silentRanks.length === 0 && unservingRanks(reports, announcement.epoch).length === 0,
    isRankAwaited: ({ context }) => context.awaitedRanks.length > 0,
    areRolesApart: ({ context }, { survey }: SurveyParams) =>
      survey.kind !== 'sealed' && allConfirm(context.reports, context.announcement.epoch),
    mustRedial: ({ context }) => context.mustRedial,
    mustBackOff: ({ context }) =>
      context.mustRedial || context.failedGenerations >= 2 || pushbackMs(context.evidence?.fault, context.budgets) > 0,
    hasTrouble: ({ context }) => context.failedGenerations >= 2,
    isParkDue: ({ context: { refusedAlike, budgets } }) => refusedAlike.count >= alikeToPark(budgets),
    isNewProcess: ({ context }, { report }: { report: RankReport }) =>
      !isOvertaken(context, report) && context.reports[report.rank]?.workerBootId !== report.workerBootId,
    isServerBusy: ({ context }) => spreadCeilingMs(context.clearTookMs, context.worldSize, context.budgets) > 0,
    isRefusedByVersion: ({ context }) =>
      refusalIn(context.reports, context.announcement.epoch)?.fault?.kind === 'incompatible' &&
      versionTold(context) === null,
    /** To be registered with at once; a second time on one link, which no server does, not without a pause. */
    isOtherVersion: ({ context }) => versionTold(context) !== null && context.versionRefusals === 0,
    isVersionUsable: ({ context }, { version }: VersionParams) => isUsable(context, version),
    isVersionBarred: ({ context }) => objectionTo(versionToAnnounce(context), context.reports) !== null,
    isRefused: (_, { cause }: { cause: LinkEndCause }) => cause === 'refused',
    isRegisterVain: ({ context: { reports, announcement } }) =>
      (refusalIn(reports, announcement.epoch) ?? rankOfOtherScheduler(reports, announcement)) !== undefined,
    isKeepRefused: ({ context: { announcement, reports, published } }) =>
      announcement.action === 'keep' &&
      (published === null || !areSameBoots(reports, published) || refusalIn(reports, announcement.epoch) !== undefined),
    isRefutation: ({ context }, { report }: { report: RankReport }) =>
      context.published !== null && !isOvertaken(context, report) && refutes(report, context.published),
    isCurrentEpoch: ({ context }, { epoch }: { epoch: Epoch }) => isSameEpoch(epoch, context.announcement.epoch),
    isIncompatible: (_, { fault }: FaultParams) => fault.kind === 'incompatible',
    isDenied: (_, { fault }: FaultParams) => isDenial(fault),
    hasPublished: ({ context }) => context.published !== null,
  },
  actions: {
    /** On the way into every state out of service. */
    noteOutage: enqueueActions(({ context, enqueue }) => apply(enqueue, outOfService(context, false))),
    notePlannedOutage: enqueueActions(({ context, enqueue }) => apply(enqueue, outOfService(context, true))),
    noteService: enqueueActions(({ context, enqueue }) => apply(enqueue, inService(context))),
    noteStop: enqueueActions(({ context, enqueue }) => apply(enqueue, stopped(context))),
    noteFailedGeneration: enqueueActions(({ context, enqueue }) => apply(enqueue, generationFailed(context))),
    countDial: assign({ outage: ({ context: { outage } }) => outage && { ...outage, dials: outage.dials + 1 } }),
    emitDial: emit(({ event }) => ({ type: 'dial.ended', outcome: dialOutcome(event) }) as const),
    emitAudit: emit((_, { outcome }: AuditParams) => ({ type: 'audit.ended', outcome }) as const),
    emitStalled: emit((_, { call }: StalledParams) => ({ type: 'registration.stalled', call }) as const),
    emitVersionRefused: emit(
      ({ context }) => ({ type: 'version.refused', fault: context.evidence?.fault ?? null }) as const,
    ),
    openLink: spawnChild('link', { id: 'link' }),
    dropLink: stopChild('link'),
    watchRanks: spawnChild('watchRanks', { id: 'watchRanks' }),
    unwatchRanks: stopChild('watchRanks'),
    recordDialFailure: assign(({ context: { clues }, event }, { fault }: FaultParams) => ({
      evidence: { of: 'link', fault } as const,
      refusedAlike: NOT_REFUSED,
      clues: { ...clues, wasRefused: clues.wasRefused || (event.type === 'link.ended' && event.cause === 'refused') },
    })),
    recordLinkLoss: enqueueActions(({ context: { clues }, event, enqueue }, { fault }: FaultParams) => {
      const linkEnd = event.type === 'link.ended' ? event.cause : null;
      enqueue.assign({ refusedAlike: NOT_REFUSED, clues: { ...clues, linkEnd: clues.linkEnd ?? linkEnd } });
      find(enqueue, { of: 'link', fault });
    }),
    recordSessionLoss: enqueueActions(({ enqueue }, { fault }: FaultParams) => find(enqueue, { of: 'session', fault })),
    recordDrain: enqueueActions(({ enqueue }) =>
      find(enqueue, {
        of: 'drain',
        fault: { kind: 'unreachable', message: 'the server is draining: it announced its end' },
      }),
    ),
    recordRpcFault: enqueueActions(({ context, enqueue }, { fault }: FaultParams) =>
      observe(enqueue, context, { of: 'rpc', fault }),
    ),
    recordAuditFault: enqueueActions(({ enqueue }, { fault }: FaultParams) => find(enqueue, { of: 'audit', fault })),
    recordSurvey: enqueueActions(({ context, enqueue }, { survey }: SurveyParams) =>
      observe(enqueue, context, surveyEvidence(survey, context.failedGenerations)),
    ),
    recordClear: assign({ clearTookMs: (_, { tookMs }: Cleared) => tookMs }),
    recordRankFault: enqueueActions(({ context, enqueue }, { report }: { report: RankReport }) =>
      find(enqueue, rankEvidence(context.published, report)),
    ),
    recordDoubt: enqueueActions(({ context: { reports, announcement }, enqueue }) => {
      const asking = proofAskedIn(reports, announcement.epoch);
      if (asking === undefined) return;
      const message = `rank ${asking.rank}: transfers of unknown outcome: a new generation proves that they are over`;
      find(enqueue, { of: 'doubt', fault: { kind: 'unreachable', message } });
    }),
    recordRefusal: enqueueActions(({ context, enqueue }) => {
      const refusal = refusalOf(context);
      if (refusal !== null) find(enqueue, refusal);
    }),
    /** A refusal that says when to come back is none for good, and what no server said is none at all. */
    countAlike: assign({
      refusedAlike: ({ context: { evidence, refusedAlike } }) => {
        const fault = evidence?.fault;
        if (fault === undefined || fault.retryAfterMs !== undefined || !isForGood(fault)) return NOT_REFUSED;
        const words = `${fault.message.replace(/\d+/g, '#')} ${fault.serverVersion ?? ''}`;
        return { words, count: words === refusedAlike.words ? refusedAlike.count + 1 : 1 };
      },
    }),
    forgetAlike: assign({ refusedAlike: NOT_REFUSED }),
    emitParked: emit(({ context }) => ({
      type: 'registration.parked' as const,
      fault: context.evidence?.fault ?? { kind: 'rejected' as const, message: 'refused' },
      retryMs: parkedMs(context),
    })),
    recordBarredVersion: enqueueActions(({ context, enqueue }) => {
      const objection = objectionTo(versionToAnnounce(context), context.reports);
      if (objection !== null) find(enqueue, objection);
    }),
    adoptVersion: assign({ serverVersion: (_, { version }: VersionParams) => version }),
    adoptVersionTold: assign(({ context }) => {
      const version = versionTold(context);
      return version === null ? {} : { serverVersion: version, versionRefusals: context.versionRefusals + 1 };
    }),
    forgetVersionRefusals: assign({ versionRefusals: 0 }),
    recordMissed: enqueueActions(({ context, enqueue }, { rank, isSilent, fault }: MissedParams) => {
      find(enqueue, { of: 'rank', fault });
      enqueue.assign({
        missedRanks: [...context.missedRanks.filter((other) => other !== rank), rank],
        silentRanks: isSilent ? [...context.silentRanks, rank] : context.silentRanks,
      });
    }),
    emitUnanswered: emit(({ context: { reports, announcement } }) => {
      return { type: 'wait.unanswered', ranks: unquietRanks(reports, announcement) } as const;
    }),
    tellMissed: emit((_, { rank, fault }: MissedParams) => ({ type: 'rank.missed', rank, fault }) as const),
    tellReturned: enqueueActions(({ context, enqueue }) => {
      for (const rank of context.missedRanks) enqueue.emit({ type: 'rank.returned', rank });
      enqueue.assign({ missedRanks: [] });
    }),
    awaitMissedRanks: assign(({ context: { reports, announcement, silentRanks } }) => ({
      awaitedRanks: [...new Set([...silentRanks, ...unservingRanks(reports, announcement.epoch)])],
    })),
    recordApart: enqueueActions(({ context, enqueue }, { survey }: SurveyParams) => {
      enqueue.assign(apartOnceMore(context));
      find(enqueue, apartEvidence(survey));
    }),
    /** A server that holds what the last generation left there refuses the next one; so does one that this clear did not reach. */
    countApart: assign(({ context }) => {
      const { reports, announcement, generationsApart } = context;
      const isTaken = refusalIn(reports, announcement.epoch)?.fault?.isTaken === true;
      return isTaken || generationsApart > 0 ? apartOnceMore(context) : {};
    }),
    forgetRedial: assign({ mustRedial: false }),
    recordReport: enqueueActions(({ context, enqueue }, { report }: { report: RankReport }) => {
      const next = received(context, report);
      if (next === null) {
        enqueue.emit({ type: 'report.late', rank: report.rank });
        return;
      }
      const { reports, maxHeldBlocksShare } = { ...context, ...next };
      const holder = atHeldLimit(reports, maxHeldBlocksShare);
      enqueue.assign({ ...next, isAtHeldLimit: holder !== undefined });
      if (holder !== undefined && !context.isAtHeldLimit) {
        const { rank, held } = holder;
        enqueue.emit({ type: 'heldLimit.reached', rank, held, fault: heldLimitFault(holder) });
      }
      if (holder === undefined && context.isAtHeldLimit) enqueue.emit({ type: 'heldLimit.left' });
    }),
    countDroppedDial: assign({ droppedDials: ({ context }) => context.droppedDials + 1 }),
    countFailedAttempt: assign({ failedAttempts: ({ context }) => context.failedAttempts + 1 }),
    countFailedGeneration: assign({
      failedGenerations: ({ context }) => context.failedGenerations + 1,
      published: null,
    }),
    /** Void for want of an answer; what may be kept is kept. */
    countRefusal: assign({ failedGenerations: ({ context }) => context.failedGenerations + 1 }),
    forgetPublished: assign({ published: null }),
    /** Nobody listens: who comes next is met as quickly as the first. Of what the last one still does that says nothing. */
    forgetDroppedDials: assign({ failedGenerations: 0, droppedDials: 0, lastLife: 0 }),
    forgetServer: assign({ published: null, failedGenerations: 0, droppedDials: 0, lastLife: 0, isServerNew: true }),
    /** Ranks that answered a `wait` begin nothing until another word comes: it is not said twice, and they answer once. */
    announceWait: assign(({ context }) => {
      const { announcement, reports } = context;
      const isSaid = announcement.action === 'wait' && rankOfOtherScheduler(reports, announcement) === undefined;
      return isSaid ? {} : { announcement: announced(context, 'wait') };
    }),
    announceRegister: enqueueActions(({ context, enqueue }) => {
      const announcement = {
        ...announced(context, 'register', nextEpoch(context)),
        serverVersion: versionToAnnounce(context),
        ...(context.generationsApart >= APART_FROM ? { dialsAfresh: true as const } : {}),
      };
      apply(enqueue, generationBegan(context, announcement));
      enqueue.assign({ isServerNew: false });
    }),
    announceKeep: enqueueActions(({ context, enqueue }) =>
      apply(enqueue, generationBegan(context, announced(context, 'keep', nextEpoch(context)))),
    ),
    announceStop: assign({ announcement: ({ context }) => announced(context, 'stop') }),
    /** Counted as failed until it has lived for a while: what is lost again and again is repeated ever slower. */
    publish: assign({
      published: ({ context }) => publishedFrom(context.reports, context.announcement.epoch),
      serverVersion: ({ context }) => context.announcement.serverVersion ?? context.serverVersion,
      failedAttempts: 0,
      droppedDials: 0,
      silentRanks: [],
      awaitedRanks: [],
      generationsApart: 0,
      mustRedial: false,
      life: 0,
      refusedAlike: NOT_REFUSED,
      failedGenerations: ({ context }) => context.failedGenerations + 1,
    }),
    /** After stalled work not before another trouble has come: until then the same is to be expected again. */
    outlive: assign(({ context: { lastLife, evidence } }, { life }: LifeParams) => {
      const isOver = hasOutlived({ life, lastLife }) && !isWorkStall(evidence);
      return isOver ? { life, failedGenerations: 0 } : { life };
    }),
    recordLife: assign({ lastLife: ({ context }) => context.life }),
    passOn: emit((_, event: PassedOnEvent) => event),
    renewBreakers: enqueueActions(({ enqueue }) => {
      for (const breaker of breakers) enqueue.sendTo(breaker, { type: 'renewed' } as const);
    }),
    recordStop: assign({ stopOutcome: (_, { outcome }: { outcome: StopOutcome }) => outcome }),
  },
  delays: {
    dialTimeout: ({ context }) => context.budgets.dialTimeoutMs,
    // Replaced where jitter is wanted: a pure machine draws no random numbers.
    ...schedulerBackoffs(longestWait),
    sessionTimeout: ({ context }) => context.budgets.sessionTimeoutMs,
    surveyTimeout: ({ context }) => context.budgets.surveyTimeoutMs,
    quiesceTimeout: ({ context }) => context.budgets.quiesceTimeoutMs,
    rankAwayTimeout: ({ context }) => context.budgets.rankAwayMs,
    proofTimeout: ({ context }) => context.budgets.proofTimeoutMs,
    stalledAfter: ({ context }) => context.budgets.stalledAfterMs,
    stalledTimeout: ({ context }) => context.budgets.stalledTimeoutMs,
    ...lifeDelays,
    parkedRetry: ({ context }) => parkedMs(context),
    auditFirst: ({ context }) => context.budgets.auditFirstMs,
    auditInterval: ({ context }) => context.budgets.auditIntervalMs,
    versionProbeInterval: ({ context }) => context.budgets.versionProbeIntervalMs,
    drainTimeout: ({ context }) => context.budgets.drainTimeoutMs,
    drainedTimeout: ({ context }) => context.budgets.drainedTimeoutMs,
    stopStepTimeout: ({ context }) => context.budgets.stopTimeoutMs / 2,
  },
});

/** Refusals in the same words after which the backoff between generations has grown to its end. */
function alikeToPark({ voidBackoffFirstMs, voidBackoffMaxMs }: Budgets): number {
  return Math.max(1, 2 + Math.ceil(Math.log2(voidBackoffMaxMs / voidBackoffFirstMs)));
}

/** Until the next generation after one that was refused in the same words again and again, in milliseconds. */
function parkedMs({ refusedAlike: { count }, budgets }: SchedulerContext): number {
  return Math.min(budgets.parkedMaxMs, budgets.parkedFirstMs * 2 ** Math.max(0, count - alikeToPark(budgets)));
}

/** Whether the server itself said no, and may say so for ever. */
function isForGood({ kind }: Fault): boolean {
  return kind === 'rejected' || kind === 'defect' || kind === 'incompatible';
}

export const breakers = ['saves', 'loads', 'queries'] as const satisfies readonly BreakerName[];

function nextEpoch({ announcement: { epoch } }: SchedulerContext): Epoch {
  return { ...epoch, counter: epoch.counter + 1 };
}

/** The next announcement, in this epoch unless another is named. */
function announced(
  { announcement: held, reports }: SchedulerContext,
  action: Announcement['action'],
  epoch = held.epoch,
): Announcement {
  const recalls = recallsFor(reports, held.epoch);
  return { epoch, action, number: (held.number ?? 0) + 1, ...(recalls.length > 0 ? { recalls } : {}) };
}

interface Enqueue {
  assign(change: Partial<SchedulerContext>): void;
  emit(event: SchedulerDomainEvent): void;
}

function apply(enqueue: Enqueue, { change, events }: Effect): void {
  enqueue.assign(change);
  for (const event of events) enqueue.emit(event);
}

function find(enqueue: Enqueue, evidence: Evidence): void {
  enqueue.assign({ evidence });
  enqueue.emit({ type: 'evidence.found', evidence });
}

/** A denial by the server ends the published generation, whatever a later probe finds. */
function observe(enqueue: Enqueue, { published }: SchedulerContext, evidence: Evidence): void {
  enqueue.assign({ published: isDenial(evidence.fault) ? null : published });
  find(enqueue, evidence);
}

/** Why this generation fails, as the ranks say. `null`: they say nothing against it. */
function refusalOf({ reports, announcement, serverVersions, published }: SchedulerContext): Evidence | null {
  const refusal = refusalIn(reports, announcement.epoch);
  const deserter = rankOfOtherScheduler(reports, announcement);
  if (!refusal) return deserter ? otherSchedulerEvidence(deserter) : null;
  const version = refusal.fault?.serverVersion;
  // A server that is not allowed stays so, whatever the ranks have against it.
  const isAllowed = version !== undefined && allowsVersion(serverVersions, version);
  return (isAllowed ? objectionTo(version, reports) : null) ?? rankEvidence(published, refusal);
}

/** One generation may have been undone by somebody between a rank's Register and the read-back. */
const APART_FROM = 2;

function apartOnceMore({ generationsApart, hasStrayed }: SchedulerContext): Partial<SchedulerContext> {
  const isCertain = generationsApart + 1 >= APART_FROM;
  return {
    generationsApart: generationsApart + 1,
    hasStrayed: hasStrayed || isCertain,
    mustRedial: isCertain,
  };
}

const FORMER_WORKERS_PER_RANK = 4;

/** Said by a process that was replaced, or before what its process said last. */
function isOvertaken({ announcement, reports, formerWorkers }: SchedulerContext, report: RankReport): boolean {
  const isOfFormer = isFormer(report, formerWorkers, announcement.epoch);
  return isOfFormer || isLate(report, reports[report.rank] ?? null);
}

/** `null` for a late one. */
function received(context: SchedulerContext, report: RankReport): Partial<SchedulerContext> | null {
  const { announcement, reports, formerWorkers, silentRanks, awaitedRanks } = context;
  const held = reports[report.rank];
  if (held === undefined) return {};
  const { epoch } = announcement;
  if (isOvertaken(context, report)) return null;
  const isReplaced = held !== null && held.workerBootId !== report.workerBootId;
  const others = formerWorkers.filter(({ workerBootId }) => workerBootId !== report.workerBootId);
  const former = isReplaced ? [...others, { workerBootId: held.workerBootId, counter: epoch.counter }] : others;
  return {
    reports: reports.with(report.rank, report),
    silentRanks: without(silentRanks, report.rank),
    awaitedRanks: report.reaches === false ? awaitedRanks : without(awaitedRanks, report.rank),
    formerWorkers: former.slice(-FORMER_WORKERS_PER_RANK * reports.length),
  };
}

/** The same list where there is nothing to leave out: a report comes with every step. */
function without(ranks: readonly number[], rank: number): readonly number[] {
  return ranks.includes(rank) ? ranks.filter((other) => other !== rank) : ranks;
}
