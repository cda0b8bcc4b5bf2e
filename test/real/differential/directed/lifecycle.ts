import {
  allocate,
  CLIENT,
  connect,
  landing,
  layer,
  load,
  POOL_BYTES,
  query,
  register,
  release,
  save,
  unregister,
} from '../builders.ts';
import type { Sequence, Step } from '../step.ts';

const names = ['l0', 'l1'];
const two = [layer('l0', 'm0'), layer('l1', 'm1')];
const session = (client: string, instance = 'i'): Step => ({
  op: 'session',
  client,
  instance,
  namespace: 'n',
  tpSize: 1,
  worldSize: 1,
});
const health: Step = { op: 'health', client: CLIENT };
const instances: Step = { op: 'http', method: 'GET', path: '/instances' };

const working: readonly Step[] = [
  connect(),
  allocate('m0'),
  allocate('m1'),
  register('i', two),
  save('i', names, [0, 1], 'a b'),
  query('i', 'a b', { as: 'q1' }),
];

const calls: readonly Step[] = [
  query('i', 'a b'),
  save('i', names, [2], 'c', { visible: '' }),
  load('i', [names], [['$q1', [[4, 5]]]], { lands: landing(['m0', 'm1']) }),
  release('$q1'),
  unregister('i'),
  register('i', two),
  session(CLIENT),
  health,
];

const signal = (name: NodeJS.Signals): Step => ({ op: 'signal', signal: name });
const exit: Step = { op: 'exit', withinMs: 5000 };
const begin = (as: string, step: Step): Step => ({ op: 'begin', as, step });
const end = (as: string, withinMs: number): Step => ({ op: 'end', as, withinMs });

const own = (name: string, steps: readonly Step[]): Sequence => ({
  name: `lifecycle: ${name}`,
  poolSizeBytes: POOL_BYTES,
  ownServers: true,
  steps,
});

/** Every call after the end of the server. */
const ended = (name: string, ...steps: readonly Step[]): Sequence =>
  own(name, [...working, ...steps, exit, ...calls, ...calls, connect()]);

const shutdown: Step = { op: 'shutdown', client: CLIENT };

/** Calls while the process stands still, and what has come of them when it goes on. */
const frozen = own('SIGSTOP and SIGCONT', [
  ...working,
  session(CLIENT),
  signal('SIGSTOP'),
  begin('query', query('i', 'a b')),
  end('query', 300),
  begin('save', save('i', names, [2], 'c')),
  begin('load', load('i', [names], [['$q1', [[4, 5]]]], { lands: landing(['m0', 'm1']) })),
  begin('health', health),
  end('health', 300),
  signal('SIGCONT'),
  end('query', 5000),
  end('save', 5000),
  end('load', 5000),
  end('health', 5000),
  instances,
  query('i', 'a b c'),
]);

const killed = (method: 'save' | 'load'): Sequence =>
  own(`SIGKILL in the middle of a ${method}`, [
    ...working,
    { op: 'fault', patch: { copyDelayMs: 4000 } },
    begin(
      'call',
      method === 'save'
        ? save('i', names, [2, 3, 4], 'c d e', { visible: '' })
        : load('i', [names], [['$q1', [[4, 5]]]]),
    ),
    end('call', 200),
    signal('SIGKILL'),
    exit,
    end('call', 8000),
    ...calls,
  ]);

const sessions: Sequence = {
  name: 'lifecycle: sessions',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...working,
    connect('s1'),
    connect('s2'),
    session('s1'),
    { op: 'drop', client: 's1' },
    instances,
    save('i', names, [0], 'c', { visible: '' }),
    register('i', two),
    query('i', 'a b'),
    connect('s1'),
    session('s1'),
    session('s2'),
    { op: 'drop', client: 's1' },
    instances,
    query('i', 'a b'),
    unregister('i'),
    { op: 'drop', client: 's2' },
    instances,
    connect('s1'),
    session('s1', 'nobody'),
    session('s1', ''),
    register('i', two),
    session('s1'),
    session('s1', 'other'),
    instances,
    register('i', two),
    { ...session('s1'), tpSize: 0, worldSize: 0 } as Step,
    { op: 'http', method: 'POST', path: '/instances/cleanup', instance: 'i' },
    register('i', two),
    { op: 'killClient' },
    instances,
    ...working.slice(0, 3),
    register('i', two),
    query('i', 'a b', { as: 'q1' }),
    load('i', [names], [['$q1', [[4, 5]]]], { lands: landing(['m0', 'm1']) }),
  ],
};

export const lifecycleSequences: readonly Sequence[] = [
  sessions,
  ended('SIGTERM', signal('SIGTERM')),
  ended('SIGTERM with a Session', session(CLIENT), signal('SIGTERM')),
  ended('SIGKILL', signal('SIGKILL')),
  ended('SIGKILL with a Session', session(CLIENT), signal('SIGKILL')),
  ended('SIGINT', signal('SIGINT')),
  ended('Shutdown', shutdown),
  own('SIGINT with a Session', [
    ...working,
    connect('s'),
    session('s'),
    signal('SIGINT'),
    { op: 'exit', withinMs: 1000 },
    signal('SIGINT'),
    { op: 'exit', withinMs: 1000 },
    { op: 'http', method: 'GET', path: '/health' },
    { op: 'drop', client: 's' },
    exit,
  ]),
  own('Shutdown with a Session', [
    ...working,
    connect('s'),
    session('s'),
    shutdown,
    { op: 'exit', withinMs: 1000 },
    { op: 'http', method: 'GET', path: '/health' },
    { op: 'killClient' },
    exit,
  ]),
  frozen,
  killed('save'),
  killed('load'),
];
