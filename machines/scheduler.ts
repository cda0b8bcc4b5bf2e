/**
 * Life of the scheduler's half across restarts of its server. It alone runs registration generations.
 *
 * Invariants, each proved by a test of the same name:
 * - an instance is published as connected only after the server said sealed and every rank's current boot confirmed
 *   its own registration in that epoch
 * - it stays in service only while every rank serves in that epoch, and a rank that stays away ends the instance
 * - the session is open before anything is asked or registered
 * - nothing is kept that this scheduler did not publish itself
 * - a generation passes its clear only when the clear was answered
 * - a barrier counts only answers to itself: the clear waits for ranks that answered the wait before it
 * - a lost registration is noticed and replayed whoever lost it
 * - a server of another version that is allowed is registered with at once, and no version is tried in a loop
 * - after faults stop, every machine reaches connected with no operator
 */
import { not } from 'xstate';
import { lifeSteps } from './backoff.ts';
import type { PassedOnEvent } from './events/domain-events.ts';
import { NO_CLUES } from './events/outage.ts';
import { type Fault, faultFrom } from './faults.ts';
import { MAX_HELD_BLOCKS_SHARE } from './ranks/held-limit.ts';
import type { RankReport } from './ranks/messages.ts';
import { rankWithOpenRegister, unstoppedRank } from './ranks/ranks.ts';
import {
  breakers,
  NOT_REFUSED,
  type SchedulerContext,
  type SchedulerEvent,
  type StopOutcome,
  schedulerSetup,
  type UnregisteredAtStop,
} from './scheduler-setup.ts';

const surveyOf = <T>({ event }: { event: { readonly output: T } }) => ({ survey: event.output });
const reportOf = ({ event }: { event: { readonly report: RankReport } }) => ({ report: event.report });
const errorOf = ({ event }: { event: { readonly error: unknown } }) => ({ fault: faultFrom(event.error) });
const faultOf = ({ event }: { event: { readonly fault: Fault } }) => ({ fault: event.fault });
const missedOf = ({ event }: { event: Extract<SchedulerEvent, { type: 'rank.missed' }> }) => event;
const versionOf = ({ event }: { event: { readonly output: string } }) => ({ version: event.output });
const timeout = (what: string) => ({ fault: { kind: 'timedOut', message: `no answer to ${what}` } }) as const;

const auditEnded = (outcome: 'sealed' | 'refuted' | 'failed') => ({ type: 'emitAudit', params: { outcome } }) as const;
const passOn = { type: 'passOn', params: ({ event }: { event: PassedOnEvent }) => event } as const;
const loseLink = { type: 'recordLinkLoss', params: faultOf } as const;
const failDial = { type: 'recordDialFailure', params: faultOf } as const;
const loseSession = { type: 'recordSessionLoss', params: faultOf } as const;
const lostLink = <P>(params: P) =>
  ({ target: '#scheduler.reconnecting.waiting', actions: { type: 'recordLinkLoss', params } }) as const;
/** Said by a server that lives: repeated as slowly as a generation that failed, or it would be stormed. */
const attemptRefused = {
  target: '#scheduler.reconnecting.waiting',
  actions: [{ type: 'recordLinkLoss', params: errorOf }, 'countRefusal'],
} as const;
const attemptUnanswered = (what: string) => lostLink(timeout(what));

/** Outweighs what the survey may find: that would be somebody else's. */
const whileSurveyed = {
  'drain.announced': { target: 'draining', actions: 'recordDrain' },
  'rpc.failed': {
    guard: { type: 'isDenied', params: faultOf },
    actions: { type: 'recordRpcFault', params: faultOf },
  },
} as const;

export const schedulerMachine = schedulerSetup.createMachine({
  id: 'scheduler',
  context: ({ input }) => ({
    ...input,
    announcement: { epoch: { schedulerBootId: input.schedulerBootId, counter: 0 }, action: 'wait', number: 1 },
    reports: Array.from({ length: input.worldSize }, () => null),
    published: null,
    failedAttempts: 0,
    droppedDials: 0,
    failedGenerations: 0,
    life: 0,
    lastLife: 0,
    refusedAlike: NOT_REFUSED,
    serverVersions: input.serverVersions ?? 'tested',
    maxHeldBlocksShare: input.maxHeldBlocksShare ?? MAX_HELD_BLOCKS_SHARE,
    isAtHeldLimit: false,
    serverVersion: null,
    versionRefusals: 0,
    isServerNew: false,
    clearTookMs: 0,
    evidence: null,
    outage: null,
    generation: null,
    clues: NO_CLUES,
    missedRanks: [],
    silentRanks: [],
    awaitedRanks: [],
    generationsApart: 0,
    hasStrayed: false,
    mustRedial: false,
    formerWorkers: [],
    stopOutcome: null,
  }),
  output: ({ context }) => context.stopOutcome ?? { kind: 'unconfirmed', reason: 'stopped without an outcome' },
  on: {
    stop: '.stopping',
    drain: '.drained',
    // What fails after its state was left says nothing any more; XState would end the machine.
    'xstate.error.actor.*': {},
    'report.received': { actions: { type: 'recordReport', params: reportOf } },
    'server.died': { actions: 'forgetServer' },
    'breaker.opened': { actions: passOn },
    'breaker.closed': { actions: passOn },
    'blocks.withdrawn': { actions: passOn },
  },
  /** For as long as the machine lives: a breaker outlives registrations. */
  invoke: breakers.map((breaker) => ({
    id: breaker,
    src: 'breaker' as const,
    input: ({ context }) => ({ breaker, budgets: context.budgets }),
  })),
  initial: 'reconnecting',
  states: {
    connected: {
      description: 'In service: the Session is read, ranks are watched, and the registration is audited.',
      tags: 'cacheUsable',
      entry: ['noteService', 'publish', 'tellReturned', 'watchRanks'],
      exit: ['unwatchRanks', 'recordLife'],
      // The registration is good, and its end is the cheapest proof of what somebody's lost link left open.
      always: { guard: 'isProofAsked', target: '#scheduler.reRegistering.quiescing', actions: 'recordDoubt' },
      initial: 'unaudited',
      after: lifeSteps,
      on: {
        'rank.missed': {
          target: 'degraded.missingRank',
          actions: [
            { type: 'recordMissed', params: missedOf },
            { type: 'tellMissed', params: missedOf },
          ],
        },
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
        unaudited: {
          description:
            'Registered a moment ago. The cleanup of an old session may still be running at the server, so the first audit comes soon.',
          after: { auditFirst: 'auditing' },
        },
        auditing: {
          description: 'Asks the server whether the registration is still sealed.',
          invoke: {
            src: 'survey',
            onDone: [
              { guard: { type: 'isSealed', params: surveyOf }, target: 'serving', actions: auditEnded('sealed') },
              {
                target: '#scheduler.degraded',
                actions: [{ type: 'recordSurvey', params: surveyOf }, auditEnded('refuted')],
              },
            ],
            onError: {
              target: '#scheduler.degraded',
              actions: [{ type: 'recordAuditFault', params: errorOf }, auditEnded('failed')],
            },
          },
          after: {
            surveyTimeout: {
              target: '#scheduler.degraded',
              actions: [{ type: 'recordAuditFault', params: timeout('the audit') }, auditEnded('failed')],
            },
          },
        },
        serving: { description: 'Waits for the next audit.', after: { auditInterval: 'auditing' } },
      },
    },

    degraded: {
      description: 'Something was lost: finds out what.',
      entry: 'noteOutage',
      initial: 'assessing',
      on: {
        'link.ended': { target: 'reconnecting', actions: loseLink },
        'session.ended': { target: 'reconnecting', actions: loseSession },
      },
      states: {
        assessing: {
          description: 'Decides by the evidence whether the link was lost or the registration is in question.',
          always: [{ guard: 'isLinkLost', target: '#scheduler.reconnecting' }, { target: 'surveying' }],
        },
        surveying: {
          description: 'Asks the server what it has of the instance.',
          on: whileSurveyed,
          invoke: {
            src: 'survey',
            onDone: [
              { guard: { type: 'isIntact', params: surveyOf }, target: '#scheduler.connected' },
              { target: '#scheduler.reRegistering.failed' },
            ],
            onError: { target: '#scheduler.reconnecting', actions: { type: 'recordLinkLoss', params: errorOf } },
          },
          // Pings say whether the link lives: one that does is kept, with its session.
          after: {
            surveyTimeout: {
              target: 'unanswered',
              actions: [{ type: 'recordRpcFault', params: timeout('the survey') }, 'countRefusal'],
            },
          },
        },
        missingRank: {
          description:
            'A rank does not serve. Nothing is lost yet: what is registered is good, and serves again with the rank.',
          always: { guard: 'areRanksServing', target: 'assessing' },
          on: {
            'drain.announced': { target: 'draining', actions: 'recordDrain' },
            'report.received': [
              {
                guard: { type: 'isRefutation', params: reportOf },
                target: 'assessing',
                actions: [
                  { type: 'recordReport', params: reportOf },
                  { type: 'recordRankFault', params: reportOf },
                ],
              },
              { actions: { type: 'recordReport', params: reportOf } },
            ],
          },
          // Its memory would stay mapped at the server for ever.
          after: { rankAwayTimeout: { target: '#scheduler.reRegistering.failed', actions: 'awaitMissedRanks' } },
        },
        unanswered: {
          description: 'The server lives and does not answer the survey: it is asked again, ever more slowly.',
          on: whileSurveyed,
          after: { generationBackoff: 'surveying' },
        },
        draining: {
          description:
            'The session is about to end, which unmaps our memory at the server: the ranks finish their copies first.',
          entry: 'announceWait',
          always: { guard: 'areRanksQuiet', target: '#scheduler.reconnecting.waiting' },
          after: { drainTimeout: { target: '#scheduler.reconnecting.waiting', actions: 'emitUnanswered' } },
        },
      },
    },

    reconnecting: {
      description: 'There is no link.',
      entry: ['noteOutage', 'dropLink'],
      initial: 'dialing',
      on: {
        // A dial under way would take the place of the one that unregisters.
        stop: { target: 'stopping', actions: 'dropLink' },
        // Without a session there is none to hand back.
        drain: { target: 'drained.sessionReleased', actions: 'dropLink' },
      },
      states: {
        dialing: {
          description: 'Dials the server.',
          entry: ['countDial', 'openLink'],
          exit: 'emitDial',
          on: {
            // The ranks dial while the session is opened and the instance cleared.
            'link.opened': {
              target: '#scheduler.reRegistering',
              actions: ['announceWait', 'forgetVersionRefusals', 'forgetRedial'],
            },
            'link.ended': [
              {
                guard: { type: 'isRefused', params: ({ event }) => ({ cause: event.cause }) },
                target: 'waiting',
                actions: [failDial, 'forgetDroppedDials'],
              },
              { target: 'waiting', actions: [failDial, 'countDroppedDial'] },
            ],
            'xstate.error.actor.link': { target: 'waiting', actions: { type: 'recordDialFailure', params: errorOf } },
          },
          after: {
            dialTimeout: { target: 'waiting', actions: { type: 'recordDialFailure', params: timeout('the dial') } },
          },
        },
        waiting: {
          description:
            'Waits for the next dial. Every failed attempt ends here, so that the wait is decided in one place.',
          entry: ['dropLink', 'countFailedAttempt'],
          after: { redialBackoff: 'dialing' },
        },
      },
    },

    reRegistering: {
      description: 'One generation: all ranks register, or none.',
      entry: 'noteOutage',
      initial: 'openingSession',
      on: {
        'link.ended': { target: 'reconnecting.waiting', actions: [loseLink, 'countDroppedDial'] },
        'session.ended': { target: 'reconnecting.waiting', actions: loseSession },
        'drain.announced': { target: 'degraded.draining', actions: ['recordDrain', 'countDroppedDial'] },
      },
      states: {
        openingSession: {
          description:
            'Opens the Session and waits for its headers: from then on the cleanup of an older session changes nothing.',
          invoke: {
            src: 'openSession',
            onDone: [
              { guard: 'isParkDue', target: 'parked' },
              { guard: 'hasTrouble', target: 'backingOff' },
              { guard: 'hasPublished', target: 'surveying' },
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
        surveying: {
          description: 'Asks whether the server still has the registration that may be kept. Only where one may be.',
          invoke: {
            src: 'survey',
            onDone: [
              {
                guard: { type: 'isIntact', params: surveyOf },
                target: 'announcing',
                actions: 'announceKeep',
              },
              { target: 'quiescing', actions: 'forgetPublished' },
            ],
            onError: attemptRefused,
          },
          after: { surveyTimeout: attemptUnanswered('the survey') },
        },
        quiescing: {
          description:
            'Waits until no rank copies: to unmap memory under a running copy can poison the CUDA context of a living server. A rank that never reported may not exist yet: then the server knows whether there is anything to unmap.',
          entry: 'announceWait',
          always: { guard: 'areRanksQuiet', target: 'clearing' },
          // What listens now is asked again: its answer means more.
          on: { 'server.died': { target: 'quiescing', reenter: true, actions: 'forgetServer' } },
          invoke: {
            src: 'survey',
            onDone: { guard: { type: 'isNothingMapped', params: surveyOf }, target: 'clearing' },
            onError: attemptRefused,
          },
          after: {
            quiesceTimeout: [
              { guard: 'isForProofAlone', target: 'surveying' },
              { target: 'clearing', actions: 'emitUnanswered' },
            ],
          },
        },
        clearing: {
          description:
            'Unregisters what the server has of the instance. Never cancelled: that would leave half an instance.',
          entry: 'forgetPublished',
          invoke: {
            src: 'clear',
            onDone: {
              target: 'proving',
              actions: [{ type: 'recordClear', params: ({ event }) => event.output }],
            },
            onError: attemptRefused,
          },
          initial: 'waiting',
          states: {
            waiting: {
              description: 'The server answers an Unregister within this time.',
              after: { stalledAfter: 'stalled' },
            },
            stalled: {
              description:
                'The Unregister is not answered, as behind a registration thread that is stuck: told, and waited for.',
              tags: 'stalled',
              entry: { type: 'emitStalled', params: { call: 'UnregisterContext' } },
              after: { stalledTimeout: attemptUnanswered('UnregisterContext') },
            },
          },
        },
        proving: {
          description:
            'Ranks watch the copy threads of the old registration end. Registered again, the memory has the same address, and its copies would go on there. What cannot be proved in time stays held.',
          always: { guard: 'areDoubtsOver', target: 'spreading' },
          after: { proofTimeout: 'spreading' },
        },
        spreading: {
          description:
            'Waits a part of the time in which all instances of a server register. The slower it answers, the wider they spread.',
          always: [
            {
              guard: 'isVersionBarred',
              target: '#scheduler.incompatible',
              actions: ['recordBarredVersion', 'countFailedGeneration', 'countAlike'],
            },
            { guard: 'isRankAwaited', target: 'awaitingRanks' },
            { guard: not('isServerBusy'), target: 'announcing', actions: 'announceRegister' },
          ],
          after: { registrationSpread: { target: 'announcing', actions: 'announceRegister' } },
        },
        awaitingRanks: {
          description:
            'A rank was away for too long: without it the instance would be registered in vain, again and again.',
          always: { guard: not('isRankAwaited'), target: 'spreading' },
        },
        announcing: {
          description:
            'The announcement is on its way to the ranks. No budget runs: a host that carries it with its steps makes none while it is idle.',
          on: {
            'announcement.delivered': {
              guard: { type: 'isCurrentEpoch', params: ({ event }) => ({ epoch: event.epoch }) },
              target: 'sealing',
            },
          },
        },
        sealing: {
          description: 'The ranks register and report.',
          always: [
            // Nothing was registered: the version is what a server looks at first. So there is nothing to clear.
            {
              guard: 'isOtherVersion',
              target: 'announcing',
              actions: ['recordRefusal', 'adoptVersionTold', 'announceRegister'],
            },
            // A rank may refuse a version that this scheduler takes, as one of an older release does: not at once again.
            {
              guard: 'isRefusedByVersion',
              target: '#scheduler.incompatible',
              actions: ['recordRefusal', 'countFailedGeneration', 'countAlike'],
            },
            // A fresh link ends the session, and with it what the ranks that vouched may still copy on.
            {
              guard: 'isKeepRefused',
              target: '#scheduler.degraded.draining',
              actions: ['recordRefusal', 'countFailedGeneration'],
            },
            // A rank that follows another scheduler answers this generation no more, and is recalled by the next one.
            {
              guard: 'isRegisterVain',
              target: 'failed',
              actions: ['recordRefusal', 'countAlike', 'adoptVersionTold', 'countApart'],
            },
            { guard: 'areRanksConfirmed', target: 'readingBack' },
          ],
          initial: 'waiting',
          states: {
            waiting: {
              description: 'Registrations are answered within this time.',
              after: { stalledAfter: 'stalled' },
            },
            stalled: {
              description: 'A registration is not answered: told, and waited for.',
              tags: 'stalled',
              entry: { type: 'emitStalled', params: { call: 'RegisterContextBatch' } },
              after: { stalledTimeout: attemptUnanswered('RegisterContextBatch of every rank') },
            },
          },
        },
        readingBack: {
          description: 'All ranks have registered: asks whether the server says sealed, and who holds our memory.',
          invoke: {
            src: 'survey',
            input: { identifies: true },
            onDone: [
              {
                guard: { type: 'isSealedAndConfirmed', params: surveyOf },
                target: '#scheduler.connected',
                actions: 'renewBreakers',
              },
              // A rank may have taken its word back meanwhile.
              { guard: { type: 'isSealed', params: surveyOf }, target: 'failed', actions: 'recordRefusal' },
              {
                guard: { type: 'areRolesApart', params: surveyOf },
                target: 'failed',
                actions: { type: 'recordApart', params: surveyOf },
              },
              { target: 'failed', actions: { type: 'recordSurvey', params: surveyOf } },
            ],
            onError: attemptRefused,
          },
          // All is registered by now: a busy server is given more time than a probe is.
          after: { stalledAfter: attemptUnanswered('the read-back') },
        },
        failed: {
          description:
            'A rank could not register, or the server does not say sealed: decides how the next generation begins.',
          entry: ['noteFailedGeneration', 'countFailedGeneration'],
          always: [
            { guard: 'isParkDue', target: 'parked' },
            { guard: 'mustBackOff', target: 'backingOff' },
            { target: 'quiescing' },
          ],
        },
        parked: {
          description:
            'The server refuses each registration in the same words: somebody has to read them. The next one is made after minutes, or with another rank process.',
          tags: 'parked',
          entry: 'emitParked',
          on: {
            'report.received': [
              {
                // Other memory, or another version of us: what was refused is over.
                guard: { type: 'isNewProcess', params: reportOf },
                target: 'quiescing',
                actions: [{ type: 'recordReport', params: reportOf }, 'forgetAlike'],
              },
              { actions: { type: 'recordReport', params: reportOf } },
            ],
          },
          after: { parkedRetry: 'quiescing' },
        },
        backingOff: {
          description: 'Waits for the next generation.',
          after: {
            generationBackoff: [
              // Whoever dials afresh may find the server that the others are at.
              { guard: 'mustRedial', target: '#scheduler.reconnecting' },
              { guard: 'hasPublished', target: 'surveying' },
              { target: 'quiescing' },
            ],
          },
        },
      },
    },

    incompatible: {
      description:
        'The version of the server is not allowed, or not fit for a rank. It is asked slowly, until another one is there.',
      entry: ['noteOutage', 'emitVersionRefused'],
      initial: 'waiting',
      on: {
        'link.ended': { target: 'reconnecting', actions: loseLink },
        'session.ended': { target: 'reconnecting', actions: loseSession },
        'drain.announced': { target: 'degraded.draining', actions: 'recordDrain' },
      },
      states: {
        waiting: { description: 'Waits for the next question.', after: { versionProbeInterval: 'probing' } },
        probing: {
          description: 'Asks the server for its version.',
          // A fresh link ends the session of the one before.
          invoke: {
            src: 'probeVersion',
            onDone: [
              {
                guard: { type: 'isVersionUsable', params: versionOf },
                target: '#scheduler.reconnecting',
                actions: { type: 'adoptVersion', params: versionOf },
              },
              { target: 'waiting' },
            ],
            onError: 'waiting',
          },
          after: { surveyTimeout: 'waiting' },
        },
      },
    },

    drained: {
      description:
        'The host expects a restart of the server: no link and no dial, until it says that the server is back or a long time has passed.',
      // Ending the session makes the server drop the registration.
      entry: ['notePlannedOutage', 'announceWait', 'forgetPublished'],
      initial: 'quiescing',
      on: { drain: {}, resume: 'reconnecting' },
      after: { drainedTimeout: 'reconnecting' },
      states: {
        quiescing: {
          description: 'The end of the session unmaps our memory at the server: the ranks finish their copies first.',
          tags: 'releasingSession',
          always: { guard: 'areRanksQuiet', target: 'sessionReleased' },
          on: {
            'link.ended': { target: 'sessionReleased', actions: loseLink },
            // The server may be the same, and still copy.
            resume: '#scheduler.degraded.draining',
          },
          after: { drainTimeout: { target: 'sessionReleased', actions: 'emitUnanswered' } },
        },
        sessionReleased: { description: 'The session has ended: the server may be restarted.', entry: 'dropLink' },
      },
    },

    stopping: {
      description: 'The host stops the connector.',
      entry: ['noteStop', 'announceStop'],
      initial: 'stoppingRanks',
      on: { stop: {}, drain: {} },
      states: {
        stoppingRanks: {
          description: 'Waits until the ranks say that they have stopped.',
          always: { guard: 'areRanksStopped', target: 'unregistering' },
          after: { stopStepTimeout: 'unregistering' },
        },
        unregistering: {
          description: 'Unregisters the instance, over the link there is or a fresh one.',
          invoke: {
            src: 'unregisterAtStop',
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
    stopped: { description: 'Nothing runs.', type: 'final', entry: 'dropLink' },
  },
});

/**
 * A rank that was told to register and has not said that it stopped may still register after the clear. And where nobody could
 * be asked, nothing is left only if nothing was registered, or with a process that is dead, and no process that took a rank's place
 * followed the same announcement to whoever listened next.
 */
function stopOutcome(context: SchedulerContext, unregistered: UnregisteredAtStop): StopOutcome {
  const { announcement, reports, isServerNew, hasStrayed, formerWorkers } = context;
  if (unregistered.kind === 'unconfirmed') return unregistered;
  if (announcement.epoch.counter === 0) return { kind: 'clean' };
  const isReplaced = formerWorkers.some(({ counter }) => counter === announcement.epoch.counter);
  if (unregistered.kind === 'unreachable' && (!isServerNew || isReplaced)) {
    return { kind: 'unconfirmed', reason: unregistered.reason };
  }
  if (hasStrayed) {
    const reason = 'ranks had registered at another server than the scheduler’s, which may still hold the instance';
    return { kind: 'unconfirmed', reason };
  }
  const unstopped = unstoppedRank(reports);
  if (unstopped !== undefined) {
    return { kind: 'unconfirmed', reason: `rank ${unstopped} did not say that it stopped` };
  }
  const open = rankWithOpenRegister(reports);
  if (open === undefined) return { kind: 'clean' };
  return {
    kind: 'unconfirmed',
    reason: `rank ${open} gave up a RegisterContextBatch without an answer, which the server may still take`,
  };
}
