/**
 * Life of one rank's half across restarts of its server. It registers when it is told to, and never clears.
 *
 * Invariants, each proved by a test of the same name:
 * - a worker serves only in the announced epoch and only when the server confirmed it there
 * - at most one Register of a rank is outstanding and none is cancelled while its link is up
 * - a rank registers at most once in an epoch
 * - a rank that lost only its link stays in its epoch
 * - a scheduler that comes back with a new boot id is obeyed
 * - one late message of an old scheduler does not silence the new one
 * - after faults stop, every machine reaches connected with no operator
 */
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
import { hasOutlived, type Lives, lifeDelays, lifeSteps, longestWait, rankBackoffs } from './backoff.ts';
import type { Budgets } from './budgets.ts';
import { dialOutcome } from './events/dial-outcome.ts';
import type { PassedOnByRank, WorkerDomainEvent } from './events/domain-events.ts';
import {
  type RankCourse,
  type RankEffect,
  rankLeftService,
  rankOutageEnded,
  rankWasAnswered,
  rankWasTold,
} from './events/rank-events.ts';
import { type Fault, faultFrom, isDenial, type LinkEndCause } from './faults.ts';
import { type Epoch, isSameEpoch, supersedes } from './ranks/epoch.ts';
import type { Announcement, RankOutcome } from './ranks/messages.ts';
import type { Proof } from './ranks/proof.ts';
import { unprovided } from './unprovided.ts';

export interface WorkerInput {
  readonly rank: number;
  readonly workerBootId: string;
  readonly budgets: Budgets;
}

export interface WorkerContext extends WorkerInput, RankCourse, Lives {
  /** The epoch a Register or check was begun for; its answer counts for that one only. */
  readonly attempted: Epoch | null;
  /** The epoch in which the server took the registration there is; a `keep` does not change it. `null`: there is none. */
  readonly registeredIn: Epoch | null;
  /** Of the server that took the last registration, also when that is over. `null`: there was none, or nobody said. */
  readonly serverVersion: string | null;
  readonly failedDials: number;
  /** Links in a row that have not outlived the one before; that of now counts until it has. */
  readonly briefLinks: number;
  /** Schedulers that were followed before this one, each with its last epoch: their late words count for nothing. Bounded. */
  readonly formerSchedulers: readonly Epoch[];
  /** How often another scheduler was followed than before. */
  readonly turn: number;
  /** Number of the announcement that was held when the link was opened; 0 before the first. */
  readonly dialedFor: number;
  /** The last Register is under way, or was given up without an answer: the server may still take it. */
  readonly isRegisterOpen: boolean;
  /** Of the server that holds this rank's memory. `null` until somebody looked. */
  readonly proof: Proof | null;
}

export type WorkerEvent =
  | PassedOnByRank
  /** Somebody looked for what would prove the death of the server. */
  | { readonly type: 'proof.found'; readonly proof: Proof }
  | { readonly type: 'link.opened' }
  | { readonly type: 'link.ended'; readonly cause: LinkEndCause; readonly fault: Fault }
  | { readonly type: 'drain.announced' }
  /** An RPC failed in a way that may mean a lost registration. */
  | { readonly type: 'rpc.failed'; readonly fault: Fault }
  /** The server said yes to the registration and no to using it. */
  | { readonly type: 'registration.refuted'; readonly fault: Fault }
  | { readonly type: 'announcement.received'; readonly announcement: Announcement }
  /** The host has put other memory in the place of what is registered: a life of its own. */
  | { readonly type: 'memory.replaced'; readonly workerBootId: string }
  | { readonly type: 'stop' };

/** The epoch whose registration is made, or looked for. */
export interface RegistrationInput {
  readonly epoch: Epoch;
  /** The version that a registration names; absent where the scheduler did not tell. */
  readonly serverVersion?: string;
}

type FaultParams = { readonly fault: Fault };
type AnnouncementParams = { readonly announcement: Announcement };

const errorOf = ({ event }: { event: { readonly error: unknown } }) => ({ fault: faultFrom(event.error) });
const faultOf = ({ event }: { event: { readonly fault: Fault } }) => ({ fault: event.fault });
const announcementOf = ({ event }: { event: AnnouncementParams }) => ({ announcement: event.announcement });
const timeout = (what: string) => ({ fault: { kind: 'timedOut', message: `no answer to ${what}` } }) as const;
const adopt = { type: 'adoptAnnouncement', params: announcementOf } as const;
const passOn = { type: 'passOn', params: ({ event }: { event: PassedOnByRank }) => event } as const;
const isNewStop = { type: 'isNewStop', params: announcementOf } as const;
const ifNewer = { type: 'isNewer', params: announcementOf } as const;
/** Gone while something was still being found out or made: the next dial waits. */
const linkLost = { target: '#worker.reconnecting.waiting', actions: { type: 'recordFault', params: faultOf } } as const;
const isIncompatible = { type: 'isIncompatible', params: errorOf } as const;
const isIncomplete = { type: 'isIncomplete', params: errorOf } as const;
const isUnreachable = { type: 'isUnreachable', params: errorOf } as const;
const refuse = { type: 'recordRefusal', params: errorOf } as const;
const closeRefused = { type: 'closeRefusedRegister', params: errorOf } as const;
const lose = { type: 'recordLoss', params: errorOf } as const;
/** An answer that nothing can be done with on this link: the next dial waits, or a server that refuses is stormed. */
const linkUseless = {
  guard: isUnreachable,
  target: '#worker.reconnecting.waiting',
  actions: { type: 'recordFault', params: errorOf },
} as const;

export const workerMachine = setup({
  types: {} as {
    context: WorkerContext;
    events: WorkerEvent | ErrorActorEvent;
    input: WorkerInput;
    emitted: WorkerDomainEvent;
    tags: 'cacheUsable' | 'stalled';
  },
  actors: {
    /** Owns one link from the dial to the end: `link.opened`, then facts. */
    link: fromCallback<WorkerEvent>(unprovided('link')),
    register: fromPromise<void, RegistrationInput>(unprovided('register')),
    /** A Save of nothing: is this rank registered, as it was in that epoch, and the instance sealed? */
    verify: fromPromise<void, RegistrationInput>(unprovided('verify')),
    /** Ends when no load may still write and no save may still read this rank's memory. */
    awaitTransfers: fromPromise<void>(unprovided('awaitTransfers')),
  },
  guards: {
    isNewer: ({ context }, { announcement }: AnnouncementParams) => isNewerAnnouncement(context, announcement),
    isNewStop: ({ context }, { announcement }: AnnouncementParams) =>
      announcement.action === 'stop' && isNewerAnnouncement(context, announcement),
    isToldToStop: ({ context }) => context.announcement?.action === 'stop',
    isToldToRegister: ({ context }) => isToldToRegister(context),
    isToldToDial: ({ context }) =>
      isToldToRegister(context) &&
      context.announcement?.dialsAfresh === true &&
      context.dialedFor !== context.announcement.number,
    /** The server that this generation was announced for is gone. */
    isRegisterVain: ({ context }, { cause }: { cause: LinkEndCause }) =>
      cause === 'refused' && isToldToRegister(context),
    isToldToKeep: ({ context }) => context.announcement?.action === 'keep' && context.outcome === 'pending',
    isLostAgain: ({ context }) => context.briefLinks > 1,
    isConfirmedAndInService: ({ context }) => isConfirmed(context) && context.announcement?.action !== 'wait',
    /** Within one epoch only somebody else can bring back what the server has once denied. */
    isRefutation: (_, { fault }: FaultParams) => isDenial(fault),
    isAnswerLate: ({ context }) => !isAttemptCurrent(context),
    isIncomplete: (_, { fault }: FaultParams) => fault.lost === 'seal',
    isIncompatible: (_, { fault }: FaultParams) => fault.kind === 'incompatible',
    isUnreachable: (_, { fault }: FaultParams) => isNoAnswer(fault),
  },
  actions: {
    /** On the way into every state out of service. */
    noteOutage: enqueueActions(({ context, enqueue }) => apply(enqueue, rankLeftService(context))),
    noteService: enqueueActions(({ context, enqueue }) => apply(enqueue, rankOutageEnded(context, 'connected'))),
    noteStop: enqueueActions(({ context, enqueue }) => apply(enqueue, rankOutageEnded(context, 'stopped'))),
    emitDial: emit(({ event }) => ({ type: 'dial.ended', outcome: dialOutcome(event) }) as const),
    emitLate: emit({ type: 'answer.late' } as const),
    openLink: spawnChild('link', { id: 'link' }),
    dropLink: stopChild('link'),
    adoptAnnouncement: enqueueActions(({ context, enqueue }, { announcement }: AnnouncementParams) => {
      const change = adopted(context, announcement);
      enqueue.assign(change);
      apply(enqueue, rankWasTold(context, { ...context, ...change }));
    }),
    /** Nobody knows what the server made of it: sent again it could collide, or reach another server before the session. */
    abandonAttempt: enqueueActions(({ context, enqueue }) => abandonAttempt(enqueue, context, context.fault)),
    /** On the way out, which comes before what an answer leads to. */
    abandonUnanswered: enqueueActions(({ context, event, enqueue }) => {
      const isAnswer = event.type.startsWith('xstate.done.actor.') || event.type.startsWith('xstate.error.actor.');
      if (!isAnswer) abandonAttempt(enqueue, context, 'fault' in event ? event.fault : context.fault);
    }),
    beginLink: assign({
      dialedFor: ({ context }) => context.announcement?.number ?? 0,
      briefLinks: ({ context }) => context.briefLinks + 1,
      lastLife: ({ context }) => context.life,
      life: 0,
    }),
    /** In service: what was there before on the same link counts too. */
    outlive: assign(({ context }, { life }: Pick<Lives, 'life'>) => {
      const lives = { life: Math.max(life, context.life), lastLife: context.lastLife };
      return hasOutlived(lives) ? { ...lives, briefLinks: 0 } : lives;
    }),
    /** What was registered, or tried, was the memory before: it takes another epoch to register this one. */
    beginLife: enqueueActions(({ context, enqueue }, { workerBootId }: { workerBootId: string }) => {
      enqueue.assign({ workerBootId, registeredIn: null, serverVersion: null });
      if (context.attempted === null && context.outcome === 'pending') return;
      answer(enqueue, context, { outcome: 'lost', attempted: null, fault: OTHER_MEMORY });
    }),
    beginAttempt: assign({ attempted: ({ context }) => context.announcement?.epoch ?? null }),
    openRegister: assign({ isRegisterOpen: true }),
    closeRegister: assign({ isRegisterOpen: false }),
    /** A refusal is an answer; what says only that nobody can be asked is none. */
    closeRefusedRegister: assign({ isRegisterOpen: (_, { fault }: FaultParams) => isNoAnswer(fault) }),
    confirmRegistered: enqueueActions(({ context, enqueue }) =>
      answer(enqueue, context, {
        outcome: 'registered',
        registeredIn: context.attempted,
        serverVersion: context.announcement?.serverVersion ?? null,
        fault: null,
      }),
    ),
    confirmKept: enqueueActions(({ context, enqueue }) => answer(enqueue, context, { outcome: 'kept', fault: null })),
    countFailedDial: assign({ failedDials: ({ context }) => context.failedDials + 1 }),
    forgetFailedDials: assign({ failedDials: 0 }),
    recordFault: assign({ fault: (_, { fault }: FaultParams) => fault }),
    recordRefusal: enqueueActions(({ context, enqueue }, { fault }: FaultParams) =>
      answer(enqueue, context, { outcome: 'failed', fault }),
    ),
    recordLoss: enqueueActions(({ context, enqueue }, { fault }: FaultParams) =>
      answer(enqueue, context, { outcome: 'lost', fault }),
    ),
    recordStall: enqueueActions(({ enqueue }) => {
      enqueue.assign({
        fault: { kind: 'timedOut', message: 'registration stalled: RegisterContextBatch is not answered' },
      });
      enqueue.emit({ type: 'registration.stalled', call: 'RegisterContextBatch' });
    }),
    stopHere: assign({
      announcement: ({ context }): Announcement => ({
        epoch: context.announcement?.epoch ?? NO_EPOCH,
        action: 'stop',
      }),
    }),
    passOn: emit((_, event: PassedOnByRank) => event),
    recordProof: enqueueActions(({ context, enqueue }, { proof }: { readonly proof: Proof }) => {
      if (proof === context.proof) return;
      enqueue.assign({ proof });
      enqueue.emit({ type: 'proof.changed', proof, before: context.proof });
    }),
    reportStopped: enqueueActions(({ context, enqueue }) => answer(enqueue, context, { outcome: 'stopped' })),
  },
  delays: {
    dialTimeout: ({ context }) => context.budgets.dialTimeoutMs,
    // Replaced where jitter is wanted: a pure machine draws no random numbers.
    ...rankBackoffs(longestWait),
    ...lifeDelays,
    stalledAfter: ({ context }) => context.budgets.stalledAfterMs,
    stalledTimeout: ({ context }) => context.budgets.stalledTimeoutMs,
    drainTimeout: ({ context }) => context.budgets.drainTimeoutMs,
    transfersStopTimeout: ({ context }) => context.budgets.stopTimeoutMs / 4,
    registerStopTimeout: ({ context }) => context.budgets.stopTimeoutMs / 4,
  },
}).createMachine({
  id: 'worker',
  context: ({ input }) => ({
    ...input,
    announcement: null,
    outcome: 'pending',
    attempted: null,
    registeredIn: null,
    serverVersion: null,
    fault: null,
    failedDials: 0,
    briefLinks: 0,
    life: 0,
    lastLife: 0,
    formerSchedulers: [],
    turn: 0,
    dialedFor: 0,
    isRegisterOpen: false,
    proof: null,
    isOutOfService: false,
    registration: null,
  }),
  on: {
    stop: { target: '.stopping', actions: 'stopHere' },
    'server.fenced': { actions: passOn },
    'fencing.failed': { actions: passOn },
    'proof.delayed': { actions: passOn },
    'preemption.heldUp': { actions: passOn },
    'preemption.ended': { actions: passOn },
    'proof.found': { actions: { type: 'recordProof', params: ({ event }) => event } },
    'blocks.heldUnprovably': { actions: passOn },
    'transfers.stuck': { actions: passOn },
    // What fails after its state was left says nothing any more; XState would end the machine.
    'xstate.error.actor.*': {},
    'announcement.received': { guard: ifNewer, target: '.reRegistering', actions: adopt },
    // On a link of its own: an answer that is still to come speaks of the memory before.
    'memory.replaced': {
      target: '.reconnecting',
      actions: { type: 'beginLife', params: ({ event }) => ({ workerBootId: event.workerBootId }) },
    },
  },
  initial: 'reconnecting',
  states: {
    connected: {
      description: 'In service: loads and saves of the announced epoch begin.',
      tags: 'cacheUsable',
      entry: ['noteService', 'forgetFailedDials'],
      after: lifeSteps,
      on: {
        'link.ended': { target: 'degraded', actions: { type: 'recordFault', params: faultOf } },
        'drain.announced': 'degraded.draining',
        'rpc.failed': [
          {
            guard: { type: 'isRefutation', params: faultOf },
            target: 'reRegistering',
            actions: { type: 'recordLoss', params: faultOf },
          },
          { target: 'degraded.verifying', actions: { type: 'recordFault', params: faultOf } },
        ],
        'registration.refuted': { target: 'reRegistering', actions: { type: 'recordLoss', params: faultOf } },
      },
    },

    degraded: {
      description: 'Something was lost: the link, the registration, or nothing.',
      entry: 'noteOutage',
      initial: 'assessing',
      on: {
        'link.ended': linkLost,
        'registration.refuted': { target: 'reRegistering', actions: { type: 'recordLoss', params: faultOf } },
      },
      states: {
        assessing: {
          description:
            'The link was lost, and nothing can be asked without one. Links that are lost again and again are made ever more slowly.',
          always: [
            { guard: 'isLostAgain', target: '#worker.reconnecting.waiting' },
            { target: '#worker.reconnecting' },
          ],
        },
        verifying: {
          description:
            'Asks whether this rank is still registered. Whatever an RPC said, the link lives, and other calls on it may still be answered.',
          invoke: {
            src: 'verify',
            input: ({ context }) => ({ epoch: context.registeredIn ?? NO_EPOCH }),
            onDone: '#worker.connected',
            onError: [
              linkUseless,
              // Every rank hears it until the last one has registered.
              { guard: isIncomplete, target: '#worker.connected' },
              { target: '#worker.reRegistering', actions: lose },
            ],
          },
          on: {
            'drain.announced': 'draining',
            // Outweighs what the check may find: that would be somebody else's.
            'rpc.failed': {
              guard: { type: 'isRefutation', params: faultOf },
              target: '#worker.reRegistering',
              actions: { type: 'recordLoss', params: faultOf },
            },
          },
          // The pings say whether the server lives; a drop leaves the outcome of every transfer open.
          after: {
            stalledAfter: {
              target: '#worker.reconnecting',
              actions: { type: 'recordFault', params: timeout('the check of the registration') },
            },
          },
        },
        draining: {
          description: 'The server announced its end: what is under way is followed to its end on this link.',
          on: {
            'announcement.received': [
              { guard: isNewStop, target: '#worker.stopping', actions: adopt },
              { guard: ifNewer, actions: adopt },
            ],
          },
          invoke: { src: 'awaitTransfers', onDone: 'assessing', onError: 'assessing' },
          after: { drainTimeout: 'assessing' },
        },
      },
    },

    reconnecting: {
      description: 'There is no link.',
      entry: ['noteOutage', 'dropLink'],
      always: { guard: 'isToldToStop', target: 'stopping' },
      initial: 'dialing',
      on: {
        // Told while there is no link: the answer to it comes after the dial.
        'announcement.received': { guard: ifNewer, target: '.dialing', reenter: true, actions: ['dropLink', adopt] },
        'registration.refuted': { actions: { type: 'recordLoss', params: faultOf } },
      },
      states: {
        dialing: {
          description: 'Dials the server.',
          entry: 'openLink',
          exit: 'emitDial',
          on: {
            'link.opened': [
              { guard: 'isConfirmedAndInService', target: '#worker.degraded.verifying', actions: 'beginLink' },
              { target: '#worker.reRegistering', actions: 'beginLink' },
            ],
            'link.ended': [
              {
                guard: { type: 'isRegisterVain', params: ({ event }) => ({ cause: event.cause }) },
                target: 'waiting',
                actions: { type: 'recordRefusal', params: faultOf },
              },
              { target: 'waiting', actions: { type: 'recordFault', params: faultOf } },
            ],
            'xstate.error.actor.link': { target: 'waiting', actions: { type: 'recordFault', params: errorOf } },
          },
          after: { dialTimeout: { target: 'waiting', actions: { type: 'recordFault', params: timeout('the dial') } } },
        },
        waiting: {
          description:
            'Waits for the next dial. The scheduler looks for the server and tells the ranks, which do not poll.',
          entry: ['dropLink', 'countFailedDial'],
          after: { redialBackoff: 'dialing' },
        },
      },
    },

    reRegistering: {
      description: 'Follows the newest announcement.',
      entry: 'noteOutage',
      initial: 'deciding',
      on: { 'link.ended': linkLost, 'drain.announced': '#worker.degraded.draining' },
      states: {
        deciding: {
          description: 'Decides by the announcement what to do.',
          always: [
            { guard: 'isToldToStop', target: '#worker.stopping' },
            // The name may lead elsewhere by now; what is under way on the old link has been waited for.
            { guard: 'isToldToDial', target: '#worker.reconnecting' },
            { guard: 'isToldToRegister', target: 'registering' },
            { guard: 'isToldToKeep', target: 'verifying' },
            { guard: 'isConfirmedAndInService', target: '#worker.connected' },
            { target: 'waiting' },
          ],
        },
        waiting: {
          description: 'Waits for an announcement. The scheduler may be in another process that is just starting.',
          on: { 'registration.refuted': { actions: { type: 'recordLoss', params: faultOf } } },
        },
        registering: {
          description:
            'Registers the memory of this rank. Never cancelled: a second Register beside it could only collide.',
          entry: ['beginAttempt', 'openRegister'],
          exit: 'abandonUnanswered',
          invoke: {
            src: 'register',
            input: ({ context: { announcement } }) => registrationFrom(announcement),
            onDone: [
              { guard: 'isToldToStop', target: '#worker.stopping', actions: ['closeRegister', 'abandonAttempt'] },
              { guard: 'isAnswerLate', target: 'deciding', actions: ['closeRegister', 'emitLate'] },
              { target: 'deciding', actions: ['closeRegister', 'confirmRegistered'] },
            ],
            onError: [
              { guard: 'isToldToStop', target: '#worker.stopping', actions: [closeRefused, 'abandonAttempt'] },
              { guard: 'isAnswerLate', target: 'deciding', actions: [closeRefused, 'emitLate'] },
              { ...linkUseless, actions: [linkUseless.actions, 'abandonAttempt'] },
              { guard: isIncompatible, target: '#worker.incompatible', actions: [closeRefused, refuse] },
              { target: 'waiting', actions: [closeRefused, refuse] },
            ],
          },
          on: {
            stop: { target: '.stopping', actions: 'stopHere' },
            // Never cancelled for a newer epoch: a second Register beside it could only collide.
            'announcement.received': [
              { guard: isNewStop, target: '.stopping', actions: adopt },
              { guard: ifNewer, actions: adopt },
            ],
          },
          initial: 'waiting',
          states: {
            waiting: {
              description: 'The server answers a Register within this time.',
              after: { stalledAfter: 'stalled' },
            },
            stalled: {
              description: 'The Register is not answered: told, and waited for.',
              tags: 'stalled',
              entry: 'recordStall',
              after: { stalledTimeout: '#worker.reconnecting' },
            },
            stopping: {
              description:
                'Told to stop while a Register is under way: waits for its answer, or the server might still take it.',
              on: { stop: {}, 'announcement.received': {}, 'memory.replaced': {}, 'drain.announced': {} },
              after: { registerStopTimeout: '#worker.stopping' },
            },
          },
        },
        verifying: {
          description: 'Asks whether the registration that is to be kept is still there.',
          entry: 'beginAttempt',
          on: {
            // What was begun before the `keep` speaks of the same registration.
            'registration.refuted': { target: 'waiting', actions: { type: 'recordLoss', params: faultOf } },
          },
          invoke: {
            src: 'verify',
            input: ({ context }) => ({ epoch: context.registeredIn ?? NO_EPOCH }),
            onDone: { target: '#worker.connected', actions: 'confirmKept' },
            onError: [linkUseless, { target: 'waiting', actions: refuse }],
          },
          after: {
            stalledAfter: {
              target: '#worker.reconnecting',
              actions: { type: 'recordFault', params: timeout('the check of the registration') },
            },
          },
        },
      },
    },

    incompatible: {
      description: 'The version of the server does not fit. The scheduler asks for another one and announces it.',
      entry: 'noteOutage',
      on: { 'link.ended': linkLost },
    },

    stopping: {
      description: 'Serves nothing. What is under way is followed to its end, if the link still lives.',
      entry: 'noteStop',
      on: { stop: {}, 'announcement.received': {}, 'memory.replaced': {} },
      invoke: { src: 'awaitTransfers', onDone: 'stopped', onError: 'stopped' },
      after: { transfersStopTimeout: 'stopped' },
    },

    stopped: { description: 'Nothing runs.', type: 'final', entry: ['dropLink', 'reportStopped'] },
  },
});

interface Enqueue {
  assign(change: Partial<WorkerContext>): void;
  emit(event: WorkerDomainEvent): void;
}

function apply(enqueue: Enqueue, { change, events }: RankEffect): void {
  enqueue.assign(change);
  for (const event of events) enqueue.emit(event);
}

/** What became of the registration of this rank. */
function answer(
  enqueue: Enqueue,
  context: WorkerContext,
  change: Partial<WorkerContext> & { readonly outcome: RankOutcome },
): void {
  enqueue.assign(change);
  apply(enqueue, rankWasAnswered(context, { ...context, ...change }));
}

function abandonAttempt(enqueue: Enqueue, context: WorkerContext, fault: Fault | null): void {
  if (context.outcome === 'pending' && isAttemptCurrent(context))
    answer(enqueue, context, { outcome: 'failed', fault });
}

function isNewEpoch(held: Announcement | null, next: Announcement): boolean {
  return held === null || supersedes(next.epoch, held.epoch);
}

/** Whether this is to be obeyed: a later word of the scheduler that is followed, or a word of another one that counts. */
function isNewerAnnouncement(context: WorkerContext, next: Announcement): boolean {
  const { announcement: held } = context;
  if (held === null) return true;
  if (held.epoch.schedulerBootId === next.epoch.schedulerBootId) return isLaterWord(held, next);
  // Only the scheduler that a rank follows can stop it: that of another one ends nothing of its own.
  return next.action !== 'stop' && !isStaleAnnouncement(context, next);
}

function isLaterWord(held: Announcement, next: Announcement): boolean {
  if (held.number !== undefined && next.number !== undefined) return next.number > held.number;
  if (isNewEpoch(held, next)) return true;
  return isSameEpoch(next.epoch, held.epoch) && ORDER_OF[next.action] > ORDER_OF[held.action];
}

/**
 * Whether this is said by a scheduler that another one took the place of. One that was put aside by a late word of its
 * predecessor recalls this rank, and names the change: so it spoke after it. An older one has begun two generations since.
 */
function isStaleAnnouncement({ formerSchedulers, workerBootId, turn }: WorkerContext, next: Announcement): boolean {
  const last = formerSchedulers.find(({ schedulerBootId }) => schedulerBootId === next.epoch.schedulerBootId);
  if (last === undefined) return false;
  if (next.number === undefined) return next.epoch.counter < last.counter + 2;
  return next.recalls?.some((recall) => recall.workerBootId === workerBootId && recall.turn === turn) !== true;
}

/** What an older scheduler says of one epoch, in order: after the wait comes another epoch or the end. */
const ORDER_OF: Record<Announcement['action'], number> = { register: 0, keep: 0, wait: 1, stop: 2 };

/** Of no scheduler: nothing is registered in it. */
const NO_EPOCH: Epoch = { schedulerBootId: '', counter: 0 };

function registrationFrom(announcement: Announcement | null): RegistrationInput {
  const { epoch, serverVersion } = announcement ?? { epoch: NO_EPOCH };
  return { epoch, ...(serverVersion === undefined ? {} : { serverVersion }) };
}

const FORMER_SCHEDULERS_KEPT = 4;

/** A rank without a registration of its own cannot vouch for what it finds at the server: that is somebody else's. */
function adopted(context: WorkerContext, announcement: Announcement): Partial<WorkerContext> {
  const { announcement: held, formerSchedulers } = context;
  if (!isNewEpoch(held, announcement)) return { announcement };
  const { schedulerBootId } = announcement.epoch;
  const isReplaced = held !== null && held.epoch.schedulerBootId !== schedulerBootId;
  const others = formerSchedulers.filter((epoch) => epoch.schedulerBootId !== schedulerBootId);
  const isKeepInVain = announcement.action === 'keep' && !isConfirmed(context);
  return {
    announcement,
    formerSchedulers: (isReplaced ? [...others, held.epoch] : others).slice(-FORMER_SCHEDULERS_KEPT),
    turn: isReplaced ? context.turn + 1 : context.turn,
    outcome: isKeepInVain ? 'failed' : 'pending',
    registeredIn: announcement.action === 'keep' ? context.registeredIn : null,
    fault: isKeepInVain ? (context.fault ?? NOTHING_TO_KEEP) : null,
  };
}

const NOTHING_TO_KEEP: Fault = { kind: 'forgotten', message: 'this rank has no registration to keep', lost: 'device' };

function isNoAnswer({ kind }: Fault): boolean {
  return kind === 'unreachable' || kind === 'timedOut';
}

const OTHER_MEMORY: Fault = { kind: 'forgotten', message: 'the host registers other memory now', lost: 'device' };

function isConfirmed({ outcome }: WorkerContext): boolean {
  return outcome === 'registered' || outcome === 'kept';
}

function isToldToRegister({ announcement, outcome }: WorkerContext): boolean {
  return announcement?.action === 'register' && outcome === 'pending';
}

function isAttemptCurrent({ announcement, attempted }: WorkerContext): boolean {
  return announcement !== null && attempted !== null && isSameEpoch(announcement.epoch, attempted);
}
