import {
  type Announcement,
  budgetsFrom,
  FaultError,
  isSameEpoch,
  type WorkerContext,
  type WorkerEvent,
  workerMachine,
} from '../../machines/index.ts';
import type { Plan } from './walk.ts';
import { faults, unreachable } from './walk-faults.ts';
import type { Tables } from './walk-tables.ts';

type Variants = { readonly [type in WorkerEvent['type']]: readonly Extract<WorkerEvent, { type: type }>[] };

export const workerPlan = {
  machine: workerMachine,
  input: { rank: 0, workerBootId: 'worker', budgets: budgetsFrom() },
  variants: (context: WorkerContext): Variants => ({
    'link.opened': [{ type: 'link.opened' }],
    'link.ended': (['closed', 'refused'] as const).map((cause) => ({ type: 'link.ended', cause, fault: unreachable })),
    'drain.announced': [{ type: 'drain.announced' }],
    'rpc.failed': faults.map((fault) => ({ type: 'rpc.failed', fault })),
    'registration.refuted': faults.map((fault) => ({ type: 'registration.refuted', fault })),
    'announcement.received': announcementsFor(context).map((announcement) => ({
      type: 'announcement.received',
      announcement,
    })),
    'memory.replaced': [{ type: 'memory.replaced', workerBootId: 'other' }],
    'server.fenced': [{ type: 'server.fenced', by: 'kill', pids: [1], reason: 'silence', afterMs: 1 }],
    'fencing.failed': [{ type: 'fencing.failed', problem: '' }],
    'proof.delayed': [{ type: 'proof.delayed', pairs: 2 }],
    'preemption.heldUp': [{ type: 'preemption.heldUp', requests: 1, blocks: 1, waitedMs: 1 }],
    'preemption.ended': [{ type: 'preemption.ended' }],
    'proof.found': (['process', 'proxy'] as const).map((proof) => ({ type: 'proof.found', proof })),
    'transfers.stuck': [{ type: 'transfers.stuck', loads: 1, saves: 0, blocks: 1 }],
    'blocks.heldUnprovably': [{ type: 'blocks.heldUnprovably', blocks: 1, proof: 'proxy' }],
    stop: [{ type: 'stop' }],
  }),
  outputs: {},
  errors: [...faults.map((fault) => new FaultError(fault)), new Error('unclassified'), undefined],
  situationIn: ({
    announcement,
    outcome,
    attempted,
    fault,
    formerSchedulers,
    isRegisterOpen,
    dialedFor,
    briefLinks,
  }) => ({
    mustDial: announcement?.dialsAfresh === true && dialedFor !== announcement.number,
    isRegisterOpen,
    isLostAgain: briefLinks > 1,
    action: announcement?.action,
    outcome,
    isAttemptCurrent: announcement !== null && attempted !== null && isSameEpoch(attempted, announcement.epoch),
    isLinkFault: fault?.kind === 'unreachable',
    hasFormerSchedulers: formerSchedulers.length > 0,
  }),
} satisfies Plan<WorkerContext>;

/** Every word on the epoch that is held, on the next and the one before, of a new scheduler and of a former one. */
function announcementsFor({ announcement, formerSchedulers, workerBootId, turn }: WorkerContext): Announcement[] {
  const held = announcement?.epoch ?? { schedulerBootId: 'scheduler-1', counter: 1 };
  const successor = `scheduler-${Number(held.schedulerBootId.split('-')[1] ?? 0) + 1}`;
  const epochs = [
    held,
    { ...held, counter: held.counter + 1 },
    { ...held, counter: held.counter - 1 },
    { schedulerBootId: successor, counter: 1 },
    ...formerSchedulers.slice(-1).flatMap((former) => [
      { ...former, counter: former.counter + 1 },
      { ...former, counter: former.counter + 2 },
    ]),
  ];
  const actions = ['wait', 'register', 'keep', 'stop'] as const;
  const recalled = formerSchedulers.slice(-1).map((epoch) => ({ epoch, recalls: [{ workerBootId, turn }], number: 9 }));
  const next = { ...held, counter: held.counter + 1 };
  const afresh = { epoch: next, number: (announcement?.number ?? 0) + 1, dialsAfresh: true } as const;
  const words = [afresh, ...epochs.map((epoch) => ({ epoch })), ...recalled];
  return words.flatMap((word) => actions.map((action) => ({ ...word, action })));
}

const registering = [
  'reRegistering.registering.waiting',
  'reRegistering.registering.stalled',
  'reRegistering.registering.stopping',
];
const reRegistering = ['reRegistering.waiting', ...registering, 'reRegistering.verifying'];
const reconnecting = ['reconnecting.dialing', 'reconnecting.waiting'];
const degraded = ['degraded.verifying', 'degraded.draining'];

export const workerTables: Tables = {
  passedThrough: ['degraded.assessing', 'reRegistering.deciding'],
  ignored: [
    {
      event: 'link.opened',
      because: 'a link says once that it is up, and only while it is dialled',
      in: ['connected', ...degraded, 'reconnecting.waiting', ...reRegistering, 'incompatible', 'stopping'],
    },
    { event: 'link.ended', because: 'there is no link', in: ['reconnecting.waiting'] },
    {
      event: 'link.ended',
      because: 'the transfers under way are followed to their end by themselves',
      in: ['stopping'],
    },
    { event: 'drain.announced', because: 'there is no link', in: reconnecting },
    { event: 'drain.announced', because: 'it is known', in: ['degraded.draining'] },
    {
      event: 'drain.announced',
      because: 'nothing is under way that would have to end first, or its end is awaited already',
      in: ['reRegistering.registering.stopping', 'incompatible', 'stopping'],
    },
    {
      event: 'rpc.failed',
      because: 'it tells of a registration that is not in service',
      in: ['degraded.draining', ...reconnecting, ...reRegistering, 'incompatible', 'stopping'],
    },
    {
      event: 'registration.refuted',
      because: 'it tells of another registration than the one that is being made, or was refused',
      in: [...registering, 'incompatible', 'stopping'],
    },
    {
      event: 'announcement.received',
      because: 'a rank that stops obeys nobody',
      in: ['reRegistering.registering.stopping', 'stopping'],
    },
    {
      event: 'memory.replaced',
      because: 'a rank that stops registers nothing more',
      in: ['reRegistering.registering.stopping', 'stopping'],
    },
    { event: 'stop', because: 'it is under way', in: ['reRegistering.registering.stopping', 'stopping'] },
  ],
  endless: {
    connected: 'a lost ping, a failed call or the scheduler',
    'reRegistering.waiting': 'the scheduler, by its next announcement; a lost ping, if the server goes',
    incompatible: 'the scheduler, once it meets a compatible server; a lost ping, if this one goes',
  },
  leaving: ['reRegistering.registering.stopping', 'stopping', 'stopped'],
};
