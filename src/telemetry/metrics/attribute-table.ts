/** Every attribute of our metrics and spans that is not of the general conventions, and what it may say. */
export interface AttributeRow {
  readonly description: string;
  /** All values there are, or in words what bounds them. */
  readonly values: readonly string[] | string;
}

export const STATES = [
  'connected',
  'degraded',
  'reconnecting',
  'reRegistering',
  'incompatible',
  'drained',
  'stopping',
  'stopped',
] as const;

const FAULT_KINDS = ['unreachable', 'timedOut', 'forgotten', 'incompatible', 'rejected', 'defect'] as const;

export const attributeTable = {
  'pegaflow.instance.id': { description: 'The inference replica', values: 'one for each connector of the process' },
  'pegaflow.rank': { description: 'The rank whose half this is', values: 'one for each rank in the process' },
  'pegaflow.role': { description: 'Which half of a connector', values: ['scheduler', 'worker'] },
  'pegaflow.state': { description: 'State of the machine, by its first word', values: STATES },
  'pegaflow.state.from': { description: 'The state that was left', values: STATES },
  'pegaflow.state.to': { description: 'The state that was entered', values: STATES },
  'pegaflow.event': {
    description: 'What happened: a fact, a command, the end of a wait, the answer of an actor',
    values: 'the events and delays of the two machines',
  },
  'pegaflow.outage.cause': {
    description: 'The first evidence; `start` at the first connection, `planned` where the host asked for it',
    values: ['link', 'session', 'drain', 'rpc', 'rank', 'doubt', 'audit', 'start', 'planned'],
  },
  'pegaflow.server.end': {
    description:
      'How the server went; `flapped`: it lived and kept the registration, `none`: nothing went, as at the first connection',
    values: ['killed', 'drained', 'frozen', 'forgot', 'flapped', 'other', 'none'],
  },
  'pegaflow.outage.outcome': { description: 'What ended it', values: ['connected', 'stopped'] },
  'pegaflow.evidence': {
    description: 'Where it was observed',
    values: ['link', 'session', 'drain', 'rpc', 'rank', 'doubt', 'audit'],
  },
  'pegaflow.fault.kind': { description: 'What it was', values: FAULT_KINDS },
  'pegaflow.query.outcome': { description: 'What a query found', values: ['hit', 'loading', 'miss'] },
  'pegaflow.miss.reason': {
    description: 'Why it was a miss; `none` otherwise',
    values: [
      'none',
      'notCached',
      'notConnected',
      'failed',
      'superseded',
      'distrusted',
      'withdrawn',
      'breakerOpen',
      'heldLimit',
    ],
  },
  'pegaflow.transfer.kind': { description: 'Which way blocks move', values: ['load', 'save'] },
  'pegaflow.transfer.outcome': {
    description: '`refused`: without an RPC',
    values: ['succeeded', 'failed', 'refused'],
  },
  'pegaflow.quarantine.end': {
    description: 'What ended the doubt',
    values: ['record', 'answer', 'strongProof', 'weakProof', 'threadsGone', 'unsafeRelease'],
  },
  'pegaflow.fencing.by': { description: 'How the server was fenced', values: ['kill', 'command'] },
  'pegaflow.fencing.reason': {
    description: '`silence`: nothing was heard of it; `stuck`: a load or save did not end although it answered',
    values: ['silence', 'stuck'],
  },
  'pegaflow.proof': {
    description:
      'The end of its `process` or of its `sockets`; or nothing would: a `proxy` stands between, its process is `notVisible`, `notHere` or `unwatchable`',
    values: ['process', 'sockets', 'proxy', 'notVisible', 'notHere', 'unwatchable'],
  },
  'pegaflow.breaker': { description: 'The work that is turned off', values: ['saves', 'loads', 'queries'] },
  'pegaflow.registration.outcome': {
    description:
      'What the server said to one rank; `lost`: confirmed once, then refuted; `superseded`: a newer epoch came',
    values: ['registered', 'kept', 'failed', 'lost', 'superseded'],
  },
  'pegaflow.generation.action': { description: 'What the ranks were told', values: ['register', 'keep'] },
  'pegaflow.generation.outcome': { description: 'Whether it came into service', values: ['published', 'failed'] },
  'pegaflow.dial.outcome': {
    description:
      'How an attempt to reach the server ended; `local`: this process or host could not connect, `unresolved`: the name has no address, `abandoned`: we had no use for it any more',
    values: [
      'opened',
      'refused',
      'closed',
      'reset',
      'local',
      'unresolved',
      'pingLost',
      'protocolError',
      'timedOut',
      'abandoned',
    ],
  },
  'pegaflow.audit.outcome': {
    description: '`sealed`: all is registered, `refuted`: it is not, `failed`: no answer, or not an answer to this',
    values: ['sealed', 'refuted', 'failed'],
  },
  'pegaflow.rpc.purpose': {
    description: '`probe`: a call whose refusal is the answer',
    values: ['call', 'probe'],
  },
  'rpc.system.name': { description: 'As the RPC conventions say', values: ['grpc'] },
  'rpc.method': { description: 'As the RPC conventions say', values: 'the methods of `pegaflow.Engine`' },
  'rpc.status_code': { description: 'As the RPC conventions say', values: 'the status codes of gRPC, by their names' },
  'error.type': { description: 'The status code again, where it is not OK', values: 'as `rpc.status_code`' },
  'server.address': { description: 'Host of the endpoint', values: 'one for each server' },
  'server.port': { description: 'Port of the endpoint', values: 'one for each server' },
} as const satisfies Readonly<Record<string, AttributeRow>>;

export type AttributeName = keyof typeof attributeTable;
