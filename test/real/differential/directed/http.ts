import { allocate, connect, layer, POOL_BYTES, query, register, release, save, unregister } from '../builders.ts';
import type { Sequence, Step } from '../step.ts';

const request = (method: string, path: string, instance?: string): Step => ({
  op: 'http',
  method,
  path,
  ...(instance !== undefined && { instance }),
});

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];
const PATHS = [
  '/',
  '/health',
  '/health/',
  '/metrics',
  '/instances',
  '/instances/',
  '/instances/cleanup',
  '/nope',
  '/cache/memory/cleanup',
];
const BODILESS = new Set(['GET /metrics', 'HEAD /metrics']);

const routes: Sequence = {
  name: 'http: paths and methods',
  poolSizeBytes: POOL_BYTES,
  steps: PATHS.flatMap((path) =>
    METHODS.filter((method) => !BODILESS.has(`${method} ${path}`)).map((method) => request(method, path)),
  ),
};

const two = [layer('l0', 'm0'), layer('l1', 'm1')];

const instances: Sequence = {
  name: 'http: instances and memory',
  poolSizeBytes: POOL_BYTES,
  steps: [
    connect(),
    allocate('m0'),
    allocate('m1'),
    request('GET', '/instances'),
    register('a', two),
    register('b', two),
    register('half', two, { worldSize: 2 }),
    request('GET', '/instances'),
    request('POST', '/instances/cleanup', 'nobody'),
    request('POST', '/instances/cleanup', ''),
    request('POST', '/instances/cleanup', 'half'),
    request('GET', '/instances'),
    save('a', ['l0', 'l1'], [0, 1, 2], 'x y z'),
    query('a', 'x', { as: 'q1' }),
    request('POST', '/cache/memory/cleanup'),
    request('POST', '/cache/memory/cleanup'),
    query('a', 'x'),
    release('$q1'),
    request('POST', '/cache/memory/cleanup'),
    request('POST', '/instances/cleanup', 'a'),
    unregister('a'),
    save('b', ['l0'], [0], 'x', { visible: '' }),
    request('POST', '/instances/cleanup?other=b'),
    request('GET', '/instances?id=b'),
    register('b', two),
    request('POST', '/instances/cleanup'),
    request('POST', '/instances/cleanup'),
    query('b', 'x'),
  ],
};

const used: Sequence = {
  name: 'http: metrics after some calls',
  poolSizeBytes: POOL_BYTES,
  ownServers: true,
  steps: [
    connect(),
    allocate('m0'),
    allocate('m1'),
    { op: 'health', client: 'c' },
    register('a', two),
    register('a', two),
    save('a', ['l0', 'l1'], [0, 1, 2], 'x y z'),
    save('a', ['l0', 'l1'], [0, 1], 'x w', { visible: 'w' }),
    save('a', ['zz'], [0], 'x', { visible: '' }),
    query('a', 'x y nope', { as: 'q1' }),
    query('nobody', 'x'),
    {
      op: 'load',
      client: 'c',
      instance: 'a',
      tpRank: 0,
      device: 0,
      groups: [['l0', 'l1']],
      loads: [['$q1', [[8, 9]]]],
    },
    release('$q1'),
    query('a', 'x y', { as: 'q2' }),
    {
      op: 'metrics',
      names: [
        'pegaflow_rpc_requests_total',
        'pegaflow_rpc_duration_seconds_count',
        'pegaflow_save_duration_seconds_count',
        'pegaflow_load_duration_seconds_count',
        'pegaflow_pool_\\w+',
        'pegaflow_cache_block_\\w+_total',
        'pegaflow_cache_resident_\\w+',
        'pegaflow_save_bytes_total',
        'pegaflow_load_bytes_total',
        'pegaflow_load_failures_total',
      ],
    },
    { op: 'metrics', names: ['# TYPE'] },
  ],
};

export const httpSequences: readonly Sequence[] = [routes, instances, used];
