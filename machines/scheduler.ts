/**
 * Life of the scheduler's half across restarts of its server. It alone runs registration generations.
 *
 * Invariants, each proved by a test of the same name:
 * - an instance is published as connected only after the server said sealed and every rank's current boot confirmed
 *   its own registration in that epoch
 * - the session is open before anything is asked or registered
 * - nothing is kept that this scheduler did not publish itself
 * - a generation passes its clear only when the clear was answered
 * - a lost registration is noticed and replayed whoever lost it
 * - after faults stop, every machine reaches connected with no operator
 */
import { assign, type ErrorActorEvent, fromCallback, fromPromise, not, setup, spawnChild, stopChild } from 'xstate';
import { attemptCeilingMs, paceCeilingMs, pushbackMs, voidCeilingMs } from './backoff.ts';
import type { Budgets } from './budgets.ts';
import { type Epoch, isSameEpoch } from './epoch.ts';
import { type Evidence, isWorkStall, rankEvidence, surveyEvidence } from './evidence.ts';
import { type Fault, faultFrom, isDenial, type LinkEndCause } from './faults.ts';
import type { Announcement, RankReport, Survey } from './messages.ts';
import {
  allConfirm,
  allQuiet,
  areSameBoots,
  type FormerWorker,
  isFormer,
  isLate,
  type Lineage,
  lineageOf,
  type RankReports,
  refusalIn,
  refutes,
  unstoppedRank,
  upholds,
} from './ranks.ts';
import { unprovided } from './unprovided.ts';

export interface SchedulerInput {
  readonly schedulerBootId: string;
  /** Ranks that make an instance whole. */
  readonly worldSize: number;
  readonly budgets: Budgets;
}

export interface SchedulerContext extends SchedulerInput {
  readonly announcement: Announcement;
  readonly reports: RankReports;
  /** The generation in service, or the last one as long as nothing refuted it. */
  readonly lineage: Lineage | null;
  readonly failedAttempts: number;
  readonly voidGenerations: number;
  /** Nobody listened since the last registration: what listens now never mapped our memory. */
  readonly isServerNew: boolean;
  /** How long the server took for the last clear, in milliseconds: its registration thread serves one call at a time. */
  readonly clearTookMs: number;
  /** The newest observation that something was lost or went wrong. */
  readonly evidence: Evidence | null;
  /** Worker processes that were replaced: their late words count for nothing. Bounded. */
  readonly formerWorkers: readonly FormerWorker[];
  /** Reports of a generation or a process that was over when they arrived. */
  readonly lateReports: number;
  /** Set when the machine stops. */
  readonly stopOutcome: StopOutcome | null;
}

/** Whether nothing of this instance is left at the server. */
export type StopOutcome = { readonly kind: 'clean' } | { readonly kind: 'unconfirmed'; readonly reason: string };

export type SchedulerEvent =
  | { readonly type: 'link.opened' }
  | { readonly type: 'link.ended'; readonly cause: LinkEndCause; readonly fault: Fault }
  | { readonly type: 'drain.announced' }
  | { readonly type: 'session.ended'; readonly fault: Fault }
  | { readonly type: 'rpc.failed'; readonly fault: Fault }
  | { readonly type: 'report.received'; readonly report: RankReport }
  | { readonly type: 'announcement.delivered'; readonly epoch: Epoch }
  /** The server is about to be restarted: let go of it. */
  | { readonly type: 'drain' }
  | { readonly type: 'resume' }
  | { readonly type: 'stop' };

/** What the `clear` actor tells when the server has answered. */
export interface Cleared {
  readonly tookMs: number;
}

const surveyOf = <T>({ event }: { event: { readonly output: T } }) => ({ survey: event.output });
const reportOf = ({ event }: { event: { readonly report: RankReport } }) => ({ report: event.report });
const errorOf = ({ event }: { event: { readonly error: unknown } }) => ({ fault: faultFrom(event.error) });
const faultOf = ({ event }: { event: { readonly fault: Fault } }) => ({ fault: event.fault });
const timeout = (what: string) => ({ fault: { kind: 'timedOut', message: `no answer to ${what}` } }) as const;

type FaultParams = { readonly fault: Fault };
type SurveyParams = { readonly survey: Survey };

const loseLink = { type: 'recordLinkLoss', params: faultOf } as const;
const loseSession = { type: 'recordSessionLoss', params: faultOf } as const;
const lostLink = <P>(params: P) =>
  ({ target: '#scheduler.reconnecting.waiting', actions: { type: 'recordLinkLoss', params } }) as const;
const attemptFailed = lostLink(errorOf);
/** Said by a server that lives: repeated as slowly as a generation that is void, or it would be stormed. */
const attemptRefused = {
  target: '#scheduler.reconnecting.waiting',
  actions: [{ type: 'recordLinkLoss', params: errorOf }, 'countRefusal'],
} as const;
const attemptUnanswered = (what: string) => lostLink(timeout(what));

export const schedulerMachine = setup({
  types: {} as {
    context: SchedulerContext;
    events: SchedulerEvent | ErrorActorEvent;
    input: SchedulerInput;
    output: StopOutcome;
    tags: 'cacheUsable' | 'stalled' | 'handingBack';
  },
  actors: {
    /** Owns one link and its session from the dial to the end: `link.opened`, then facts. */
    link: fromCallback<SchedulerEvent>(unprovided('link')),
    openSession: fromPromise<void>(unprovided('openSession')),
    survey: fromPromise<Survey>(unprovided('survey')),
    clear: fromPromise<Cleared>(unprovided('clear')),
    probeVersion: fromPromise<void>(unprovided('probeVersion')),
    /** Unregisters over whatever link there is, or a fresh one. */
    retire: fromPromise<StopOutcome>(unprovided('retire')),
  },
  guards: {
    isLinkLost: ({ context }) => context.evidence?.of === 'link' || context.evidence?.of === 'session',
    isIntact: ({ context }, { survey }: SurveyParams) =>
      survey.kind === 'sealed' && context.lineage !== null && upholds(context.reports, context.lineage),
    isSealed: (_, { survey }: SurveyParams) => survey.kind === 'sealed',
    isSealedAndConfirmed: ({ context }, { survey }: SurveyParams) =>
      survey.kind === 'sealed' && allConfirm(context.reports, context.announcement.epoch),
    areRanksQuiet: ({ context }) => context.isServerNew || allQuiet(context.reports),
    areRanksStopped: ({ context }) => unstoppedRank(context.reports) === undefined,
    areRanksConfirmed: ({ context }) => allConfirm(context.reports, context.announcement.epoch),
    mustPause: ({ context }) =>
      context.voidGenerations >= 2 || pushbackMs(context.evidence?.fault, context.budgets) > 0,
    hasTrouble: ({ context }) => context.voidGenerations >= 2,
    isServerBusy: ({ context }) => paceCeilingMs(context.clearTookMs, context.worldSize, context.budgets) > 0,
    isRefusedByVersion: ({ context }) =>
      refusalIn(context.reports, context.announcement.epoch)?.fault?.kind === 'incompatible',
    isRefused: (_, { cause }: { cause: LinkEndCause }) => cause === 'refused',
    isRegisterRefused: ({ context }) => refusalIn(context.reports, context.announcement.epoch) !== undefined,
    isKeepRefused: ({ context: { announcement, reports, lineage } }) =>
      announcement.action === 'keep' &&
      (lineage === null || !areSameBoots(reports, lineage) || refusalIn(reports, announcement.epoch) !== undefined),
    isRefutation: ({ context }, { report }: { report: RankReport }) =>
      context.lineage !== null && !isOvertaken(context, report) && refutes(report, context.lineage),
    isCurrentEpoch: ({ context }, { epoch }: { epoch: Epoch }) => isSameEpoch(epoch, context.announcement.epoch),
    isIncompatible: (_, { fault }: FaultParams) => fault.kind === 'incompatible',
    isDenied: (_, { fault }: FaultParams) => isDenial(fault),
    hasLineage: ({ context }) => context.lineage !== null,
  },
  actions: {
    openLink: spawnChild('link', { id: 'link' }),
    dropLink: stopChild('link'),
    recordLinkLoss: assign({ evidence: (_, { fault }: FaultParams) => ({ of: 'link', fault }) as const }),
    recordSessionLoss: assign({ evidence: (_, { fault }: FaultParams) => ({ of: 'session', fault }) as const }),
    recordDrain: assign({
      evidence: {
        of: 'drain',
        fault: { kind: 'unreachable', message: 'the server is draining: it announced its end' },
      } as const,
    }),
    recordRpcFault: assign(({ context }, { fault }: FaultParams) => observed(context, { of: 'rpc', fault })),
    recordAuditFault: assign({ evidence: (_, { fault }: FaultParams) => ({ of: 'audit', fault }) as const }),
    recordSurvey: assign(({ context }, { survey }: SurveyParams) =>
      observed(context, surveyEvidence(survey, context.voidGenerations)),
    ),
    recordClear: assign({ clearTookMs: (_, { tookMs }: Cleared) => tookMs }),
    recordRankFault: assign({
      evidence: ({ context }, { report }: { report: RankReport }) => rankEvidence(context.lineage, report),
    }),
    recordRefusal: assign({
      evidence: ({ context }) => {
        const refusal = refusalIn(context.reports, context.announcement.epoch);
        return refusal ? rankEvidence(context.lineage, refusal) : context.evidence;
      },
    }),
    recordReport: assign(({ context }, { report }: { report: RankReport }) => received(context, report)),
    countFailedAttempt: assign({ failedAttempts: ({ context }) => context.failedAttempts + 1 }),
    countVoid: assign({ voidGenerations: ({ context }) => context.voidGenerations + 1, lineage: null }),
    /** Void for want of an answer; what may be kept is kept. */
    countRefusal: assign({ voidGenerations: ({ context }) => context.voidGenerations + 1 }),
    forgetLineage: assign({ lineage: null }),
    forgetServer: assign({ lineage: null, voidGenerations: 0, isServerNew: true }),
    announceWait: assign({
      announcement: ({ context }) => ({ epoch: context.announcement.epoch, action: 'wait' }) as const,
    }),
    announceRegister: assign({
      announcement: ({ context }) => nextAnnouncement(context, 'register'),
      isServerNew: false,
    }),
    announceKeep: assign({ announcement: ({ context }) => nextAnnouncement(context, 'keep') }),
    announceStop: assign({
      announcement: ({ context }) => ({ epoch: context.announcement.epoch, action: 'stop' }) as const,
    }),
    /** Counted as void until it has outlived its first audit: what is lost again and again is repeated ever slower. */
    publish: assign({
      lineage: ({ context }) => lineageOf(context.reports, context.announcement.epoch),
      failedAttempts: 0,
      voidGenerations: ({ context }) => context.voidGenerations + 1,
    }),
    /** After stalled work not before another trouble has come: until then the same is to be expected again. */
    forgetVoids: assign({
      voidGenerations: ({ context }) => (isWorkStall(context.evidence) ? context.voidGenerations : 0),
    }),
    recordStop: assign({ stopOutcome: (_, { outcome }: { outcome: StopOutcome }) => outcome }),
  },
  delays: {
    dialTimeout: ({ context }) => context.budgets.dialTimeoutMs,
    /** Replaced where jitter is wanted: a pure machine draws no random numbers. */
    redialBackoff: ({ context }) =>
      Math.max(attemptCeilingMs(context), pushbackMs(context.evidence?.fault, context.budgets)),
    /** Replaced where jitter is wanted, like the backoffs. */
    registrationPace: ({ context }) => paceCeilingMs(context.clearTookMs, context.worldSize, context.budgets),
    sessionTimeout: ({ context }) => context.budgets.sessionTimeoutMs,
    surveyTimeout: ({ context }) => context.budgets.surveyTimeoutMs,
    quiesceTimeout: ({ context }) => context.budgets.quiesceTimeoutMs,
    stalledAfter: ({ context }) => context.budgets.stalledAfterMs,
    stalledTimeout: ({ context }) => context.budgets.stalledTimeoutMs,
    voidBackoff: ({ context: { voidGenerations, evidence, budgets } }) =>
      Math.max(voidCeilingMs(voidGenerations, budgets), pushbackMs(evidence?.fault, budgets)),
    auditFirst: ({ context }) => context.budgets.auditFirstMs,
    auditInterval: ({ context }) => context.budgets.auditIntervalMs,
    versionProbeInterval: ({ context }) => context.budgets.versionProbeIntervalMs,
    drainTimeout: ({ context }) => context.budgets.drainTimeoutMs,
    drainedTimeout: ({ context }) => context.budgets.drainedTimeoutMs,
    stopStepTimeout: ({ context }) => context.budgets.stopTimeoutMs / 2,
  },
}).createMachine({
  id: 'scheduler',
  context: ({ input }) => ({
    ...input,
    announcement: { epoch: { schedulerBootId: input.schedulerBootId, counter: 0 }, action: 'wait' },
    reports: Array.from({ length: input.worldSize }, () => null),
    lineage: null,
    failedAttempts: 0,
    voidGenerations: 0,
    isServerNew: false,
    clearTookMs: 0,
    evidence: null,
    formerWorkers: [],
    lateReports: 0,
    stopOutcome: null,
  }),
  output: ({ context }) => context.stopOutcome ?? { kind: 'unconfirmed', reason: 'stopped without an outcome' },
  on: {
    stop: '.stopping',
    drain: '.drained',
    // What fails after its state was left says nothing any more; XState would end the machine.
    'xstate.error.actor.*': {},
    'report.received': { actions: { type: 'recordReport', params: reportOf } },
  },
  initial: 'reconnecting',
  states: {
    connected: {
      tags: 'cacheUsable',
      entry: 'publish',
      initial: 'settling',
      on: {
        'link.ended': { target: 'degraded', actions: loseLink },
        'session.ended': { target: 'degraded', actions: loseSession },
        'drain.announced': { target: 'degraded.draining', actions: 'recordDrain' },
        'rpc.failed': { target: 'degraded', actions: { type: 'recordRpcFault', params: faultOf } },
        'report.received': [
          {
            guard: { type: 'isRefutation', params: reportOf },
            target: 'degraded',
            actions: [
              { type: 'recordReport', params: reportOf },
              { type: 'recordRankFault', params: reportOf },
            ],
          },
          { actions: { type: 'recordReport', params: reportOf } },
        ],
      },
      states: {
        /** An old session's cleanup may still be running at the server: look again soon. */
        settling: { after: { auditFirst: 'auditing' } },
        auditing: {
          invoke: {
            src: 'survey',
            onDone: [
              { guard: { type: 'isSealed', params: surveyOf }, target: 'serving' },
              { target: '#scheduler.degraded', actions: { type: 'recordSurvey', params: surveyOf } },
            ],
            onError: { target: '#scheduler.degraded', actions: { type: 'recordAuditFault', params: errorOf } },
          },
          after: {
            surveyTimeout: {
              target: '#scheduler.degraded',
              actions: { type: 'recordAuditFault', params: timeout('the audit') },
            },
          },
        },
        /** A generation that outlived its first audit: the trouble before it is over. */
        serving: { entry: 'forgetVoids', after: { auditInterval: 'auditing' } },
      },
    },

    /** Something was lost: find out what. */
    degraded: {
      initial: 'assessing',
      on: {
        'link.ended': { target: 'reconnecting', actions: loseLink },
        'session.ended': { target: 'reconnecting', actions: loseSession },
      },
      states: {
        assessing: {
          always: [{ guard: 'isLinkLost', target: '#scheduler.reconnecting' }, { target: 'surveying' }],
        },
        surveying: {
          // Outweighs what the survey may find: that would be somebody else's.
          on: {
            'drain.announced': { target: 'draining', actions: 'recordDrain' },
            'rpc.failed': {
              guard: { type: 'isDenied', params: faultOf },
              actions: { type: 'recordRpcFault', params: faultOf },
            },
          },
          invoke: {
            src: 'survey',
            onDone: [
              { guard: { type: 'isIntact', params: surveyOf }, target: '#scheduler.connected' },
              { target: '#scheduler.reRegistering.voided' },
            ],
            onError: { target: '#scheduler.reconnecting', actions: { type: 'recordLinkLoss', params: errorOf } },
          },
          after: {
            surveyTimeout: {
              target: '#scheduler.reconnecting',
              actions: { type: 'recordLinkLoss', params: timeout('the survey') },
            },
          },
        },
        /** Ending the session unmaps our memory at the server, so the ranks finish their copies first. */
        draining: {
          entry: 'announceWait',
          always: { guard: 'areRanksQuiet', target: '#scheduler.reconnecting.waiting' },
          after: { drainTimeout: '#scheduler.reconnecting.waiting' },
        },
      },
    },

    reconnecting: {
      entry: 'dropLink',
      initial: 'dialing',
      on: {
        // A dial under way would take the place of the one that unregisters.
        stop: { target: 'stopping', actions: 'dropLink' },
        drain: { target: 'drained', actions: 'dropLink' },
      },
      states: {
        dialing: {
          entry: 'openLink',
          on: {
            // The ranks dial while the session is opened and the instance cleared.
            'link.opened': { target: '#scheduler.reRegistering', actions: 'announceWait' },
            'link.ended': [
              {
                // Nobody listens: whatever held our registration, or disputed it, is gone or going.
                guard: { type: 'isRefused', params: ({ event }) => ({ cause: event.cause }) },
                target: 'waiting',
                actions: [loseLink, 'forgetServer'],
              },
              { target: 'waiting', actions: loseLink },
            ],
            'xstate.error.actor.link': attemptFailed,
          },
          after: {
            dialTimeout: { target: 'waiting', actions: { type: 'recordLinkLoss', params: timeout('the dial') } },
          },
        },
        /** Every failed attempt ends here, so how long to wait is decided once. */
        waiting: { entry: ['dropLink', 'countFailedAttempt'], after: { redialBackoff: 'dialing' } },
      },
    },

    reRegistering: {
      initial: 'openingSession',
      on: {
        'link.ended': { target: 'reconnecting.waiting', actions: loseLink },
        'session.ended': { target: 'reconnecting.waiting', actions: loseSession },
        'drain.announced': { target: 'degraded.draining', actions: 'recordDrain' },
      },
      states: {
        openingSession: {
          invoke: {
            src: 'openSession',
            onDone: [
              { guard: 'hasTrouble', target: 'pausing' },
              { guard: 'hasLineage', target: 'surveying' },
              { target: 'quiescing' },
            ],
            onError: [
              {
                guard: { type: 'isIncompatible', params: errorOf },
                target: '#scheduler.incompatible',
                actions: { type: 'recordRpcFault', params: errorOf },
              },
              {
                target: '#scheduler.reconnecting.waiting',
                actions: [{ type: 'recordSessionLoss', params: errorOf }, 'countRefusal'],
              },
            ],
          },
          after: { sessionTimeout: attemptUnanswered('the session') },
        },
        /** Only where something may be kept; otherwise every answer would lead to the clear. */
        surveying: {
          invoke: {
            src: 'survey',
            onDone: [
              {
                guard: { type: 'isIntact', params: surveyOf },
                target: 'announcing',
                actions: 'announceKeep',
              },
              { target: 'quiescing' },
            ],
            onError: attemptRefused,
          },
          after: { surveyTimeout: attemptUnanswered('the survey') },
        },
        /** Unmapping memory under a running copy can poison a living server's CUDA context. */
        quiescing: {
          entry: 'announceWait',
          always: { guard: 'areRanksQuiet', target: 'clearing' },
          after: { quiesceTimeout: 'clearing' },
        },
        clearing: {
          entry: 'forgetLineage',
          invoke: {
            src: 'clear',
            onDone: {
              target: 'pacing',
              actions: [{ type: 'recordClear', params: ({ event }) => event.output }],
            },
            onError: attemptRefused,
          },
          initial: 'waiting',
          states: {
            waiting: { after: { stalledAfter: 'stalled' } },
            /** Never cancelled: that would leave the instance half-done. */
            stalled: { tags: 'stalled', after: { stalledTimeout: attemptUnanswered('UnregisterContext') } },
          },
        },
        /**
         * Many instances that lost one server come back to it at once. The slower it answers, the wider they spread what
         * costs it most.
         */
        pacing: {
          always: { guard: not('isServerBusy'), target: 'announcing', actions: 'announceRegister' },
          after: { registrationPace: { target: 'announcing', actions: 'announceRegister' } },
        },
        /** No budget runs: a host without a channel of its own makes no steps while it is idle. */
        announcing: {
          on: {
            'announcement.delivered': {
              guard: { type: 'isCurrentEpoch', params: ({ event }) => ({ epoch: event.epoch }) },
              target: 'sealing',
            },
          },
        },
        sealing: {
          always: [
            { guard: 'isRefusedByVersion', target: '#scheduler.incompatible', actions: 'recordRefusal' },
            // A fresh link ends the session, and with it what the ranks that vouched may still copy on.
            { guard: 'isKeepRefused', target: '#scheduler.degraded.draining', actions: ['recordRefusal', 'countVoid'] },
            { guard: 'isRegisterRefused', target: 'voided', actions: 'recordRefusal' },
            { guard: 'areRanksConfirmed', target: 'readingBack' },
          ],
          initial: 'waiting',
          states: {
            waiting: { after: { stalledAfter: 'stalled' } },
            stalled: {
              tags: 'stalled',
              after: { stalledTimeout: attemptUnanswered('RegisterContextBatch of every rank') },
            },
          },
        },
        readingBack: {
          invoke: {
            src: 'survey',
            onDone: [
              { guard: { type: 'isSealedAndConfirmed', params: surveyOf }, target: '#scheduler.connected' },
              // A rank may have taken its word back meanwhile.
              { guard: { type: 'isSealed', params: surveyOf }, target: 'voided', actions: 'recordRefusal' },
              { target: 'voided', actions: { type: 'recordSurvey', params: surveyOf } },
            ],
            onError: attemptRefused,
          },
          // All is registered by now: a busy server is given more time than a probe is.
          after: { stalledAfter: attemptUnanswered('the read-back') },
        },
        voided: {
          entry: 'countVoid',
          always: [{ guard: 'mustPause', target: 'pausing' }, { target: 'quiescing' }],
        },
        pausing: {
          after: { voidBackoff: [{ guard: 'hasLineage', target: 'surveying' }, { target: 'quiescing' }] },
        },
      },
    },

    /** Another version answers: parked, asked slowly, back by itself when a compatible one appears. */
    incompatible: {
      initial: 'waiting',
      on: {
        'link.ended': { target: 'reconnecting', actions: loseLink },
        'session.ended': { target: 'reconnecting', actions: loseSession },
        'drain.announced': { target: 'degraded.draining', actions: 'recordDrain' },
      },
      states: {
        waiting: { after: { versionProbeInterval: 'probing' } },
        probing: {
          // A fresh link ends the session of the one before.
          invoke: { src: 'probeVersion', onDone: '#scheduler.reconnecting', onError: 'waiting' },
          after: { surveyTimeout: 'waiting' },
        },
      },
    },

    /** The host expects a restart: no link, no dial, until it says that the server is back or a long time has passed. */
    drained: {
      // Ending the session makes the server drop the registration.
      entry: ['announceWait', 'forgetLineage'],
      initial: 'quiescing',
      on: { drain: {}, resume: 'reconnecting' },
      after: { drainedTimeout: 'reconnecting' },
      states: {
        /** Ending the session unmaps our memory at the server, so the ranks finish their copies first. */
        quiescing: {
          tags: 'handingBack',
          always: { guard: 'areRanksQuiet', target: 'handedBack' },
          on: {
            'link.ended': { target: 'handedBack', actions: loseLink },
            // The server may be the same, and still copy.
            resume: '#scheduler.degraded.draining',
          },
          after: { drainTimeout: 'handedBack' },
        },
        handedBack: { entry: 'dropLink' },
      },
    },

    stopping: {
      entry: 'announceStop',
      initial: 'stoppingRanks',
      on: { stop: {}, drain: {} },
      states: {
        stoppingRanks: {
          always: { guard: 'areRanksStopped', target: 'retiring' },
          after: { stopStepTimeout: 'retiring' },
        },
        retiring: {
          invoke: {
            src: 'retire',
            onDone: {
              target: '#scheduler.stopped',
              actions: {
                type: 'recordStop',
                params: ({ context, event }) => ({ outcome: stopOutcome(context, event.output) }),
              },
            },
            onError: {
              target: '#scheduler.stopped',
              actions: {
                type: 'recordStop',
                params: ({ event }) => ({
                  outcome: { kind: 'unconfirmed', reason: faultFrom(event.error).message } as const,
                }),
              },
            },
          },
          after: {
            stopStepTimeout: {
              target: '#scheduler.stopped',
              actions: {
                type: 'recordStop',
                params: { outcome: { kind: 'unconfirmed', reason: 'the server did not answer UnregisterContext' } },
              },
            },
          },
        },
      },
    },
    stopped: { type: 'final', entry: 'dropLink' },
  },
});

function nextAnnouncement({ announcement: { epoch } }: SchedulerContext, action: 'register' | 'keep'): Announcement {
  return { epoch: { ...epoch, counter: epoch.counter + 1 }, action };
}

/** What was observed; a denial by the server ends the lineage, whatever a later probe finds. */
function observed(context: SchedulerContext, evidence: Evidence): Partial<SchedulerContext> {
  return { evidence, lineage: isDenial(evidence.fault) ? null : context.lineage };
}

const FORMER_WORKERS_PER_RANK = 4;

/** Said by a process that was replaced, or before what its process said last. */
function isOvertaken({ announcement, reports, formerWorkers }: SchedulerContext, report: RankReport): boolean {
  const isOfFormer = isFormer(report, formerWorkers, announcement.epoch);
  return isOfFormer || isLate(report, reports[report.rank] ?? null);
}

function received(context: SchedulerContext, report: RankReport): Partial<SchedulerContext> {
  const { announcement, reports, formerWorkers, lateReports } = context;
  const held = reports[report.rank];
  if (held === undefined) return {};
  const { epoch } = announcement;
  if (isOvertaken(context, report)) return { lateReports: lateReports + 1 };
  const isReplaced = held !== null && held.workerBootId !== report.workerBootId;
  const others = formerWorkers.filter(({ workerBootId }) => workerBootId !== report.workerBootId);
  const former = isReplaced ? [...others, { workerBootId: held.workerBootId, counter: epoch.counter }] : others;
  return {
    reports: reports.with(report.rank, report),
    formerWorkers: former.slice(-FORMER_WORKERS_PER_RANK * reports.length),
  };
}

/** A rank that was told to register and has not said that it stopped may still register after the clear. */
function stopOutcome({ announcement, reports }: SchedulerContext, outcome: StopOutcome): StopOutcome {
  const rank = unstoppedRank(reports);
  if (outcome.kind !== 'clean' || announcement.epoch.counter === 0 || rank === undefined) return outcome;
  return { kind: 'unconfirmed', reason: `rank ${rank} did not say that it stopped` };
}
