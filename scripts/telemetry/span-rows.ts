/** Every span of a connector, for docs/telemetry.md; a test holds what is recorded against it. */
export interface SpanRow {
  readonly parent: string;
  readonly what: string;
  readonly attributes: readonly string[];
  /** Name of its events, if it has any. */
  readonly event?: string;
}

const INSTANCE = ['pegaflow.instance.id', 'server.address', 'server.port'];
const FAULT = ['pegaflow.fault.kind', 'pegaflow.fault.message'];
const TRANSITION = 'pegaflow.transition';

const root = {
  parent: 'none: it is the root',
  attributes: [
    ...INSTANCE,
    'pegaflow.outage.cause',
    'pegaflow.outage.outcome',
    'pegaflow.server.end',
    'pegaflow.epoch.before',
    'pegaflow.epoch.after',
    'pegaflow.outage.dials',
    'pegaflow.outage.generations',
    'pegaflow.steps.omitted',
    ...FAULT,
  ],
  event: TRANSITION,
};

export const spanRows: Readonly<Record<string, SpanRow>> = {
  'pegaflow.first_connection': { ...root, what: 'From the start to the first `connected`' },
  'pegaflow.outage': { ...root, what: 'From the first evidence to `connected`, or to the stop' },
  'pegaflow.state <state>': {
    parent: 'the root',
    what: 'The residence in a state; one that lasts longer than 10 s is told in slices, each of which ends with a transition. They add up to the root, without a gap',
    attributes: ['pegaflow.state', 'pegaflow.state.slice', 'pegaflow.transitions.omitted'],
    event: TRANSITION,
  },
  'pegaflow.dial': {
    parent: 'the state',
    what: 'One attempt to reach the server: the first 16 of an outage and the one that was answered',
    attributes: ['pegaflow.path', 'pegaflow.dial.outcome'],
  },
  'pegaflow.step': {
    parent: 'the state',
    what: 'The residence in a part of a state, the first 16 of each',
    attributes: ['pegaflow.path'],
  },
  'pegaflow.generation': {
    parent: 'the root',
    what: 'The registration of all ranks in one epoch',
    attributes: [...INSTANCE, 'pegaflow.epoch', 'pegaflow.generation.action', 'pegaflow.generation.outcome', ...FAULT],
  },
  'pegaflow.rank.registration': {
    parent: "the generation, by the announcement's `traceparent`",
    what: 'What one rank does about the announced epoch, made in its process',
    attributes: [
      ...INSTANCE,
      'pegaflow.rank',
      'pegaflow.epoch',
      'pegaflow.generation.action',
      'pegaflow.registration.outcome',
      ...FAULT,
    ],
  },
  'pegaflow.rank.outage': {
    parent:
      'what the first announcement of the outage names: the root, or the generation. None where the rank recovers alone',
    what: 'From the moment in which one rank serves no more to its `connected`; linked to the calls that it made before it was told of the trace',
    attributes: [...INSTANCE, 'pegaflow.rank', 'pegaflow.outage.outcome', 'pegaflow.transitions.omitted', ...FAULT],
    event: TRANSITION,
  },
  'pegaflow.Engine/<method>': {
    parent:
      'the step, generation or registration that it is made for; while connected, what the application has under way',
    what: 'One call, a client span by the RPC conventions (semantic conventions 1.45); of the Session stream up to its headers',
    attributes: [
      'rpc.system.name',
      'rpc.method',
      'rpc.status_code',
      'error.type',
      'pegaflow.rpc.purpose',
      'server.address',
      'server.port',
    ],
  },
};

/** Attributes of the event `pegaflow.transition`: one for each change of path, at most 64 on one span. */
export const transitionAttributes = ['pegaflow.event', 'pegaflow.from', 'pegaflow.to', 'pegaflow.guard'];
