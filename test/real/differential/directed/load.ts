import {
  allocate,
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
import type { LoadStep, Sequence, Step } from '../step.ts';

const ZERO_LEASE = '00'.repeat(16);
const rank0 = [connect(), allocate('m0'), allocate('m1')];
const rank1 = [allocate('d0', { device: 1 }), allocate('d1', { device: 1 })];
const two = [layer('l0', 'm0'), layer('l1', 'm1')];
const other = [layer('l0', 'd0'), layer('l1', 'd1')];
const names = ['l0', 'l1'];
const lands = landing(['m0', 'm1']);
const world = { tpSize: 2, worldSize: 2 };

/** A load of a fresh lease on these blocks. */
const leased = (
  words: string,
  targets: readonly (number | null)[],
  options: Partial<LoadStep> = {},
  groups: LoadStep['groups'] = [names],
): readonly Step[] => [
  query('i', words, { as: 'q1' }),
  load('i', groups, [['$q1', [targets]]], { lands, ...options }),
  load('i', groups, [['$q1', [targets]]], { lands, ...options }),
];

const loads: Sequence = {
  name: 'load: one rank',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    register('i', two),
    save('i', names, [0, 1, 2, 3], 'a b c d'),
    ...leased('a b c d', [8, 9, 10, 11]),
    ...leased('a b', [0, 0]),
    ...leased('a b', [null, 5]),
    ...leased('a b', [null, null]),
    ...leased('a', [0]),
    ...leased('a b', [1]),
    ...leased('a b', [1, 2, 3]),
    ...leased('a', []),
    ...leased('a', [16]),
    ...leased('a b', [4, 4294967295]),
    ...leased('a b', [-1, 4]),
    ...leased('a', [12], {}, []),
    ...leased('a', [12], {}, [[]]),
    ...leased('a', [12], {}, [['l0']]),
    ...leased('a', [12], {}, [['l1', 'l0']]),
    ...leased('a', [12], {}, [['l0', 'l0']]),
    ...leased('a', [12], {}, [['zz']]),
    ...leased('a', [12], {}, [['l0', 'zz']]),
    ...leased('a', [12], {}, [['l0'], ['l1']]),
    ...leased('a', [12], {}, [['l0'], ['l0']]),
    ...leased('a', [12], { device: 1 }),
    ...leased('a', [12], { device: 9 }),
    ...leased('a', [12], { device: -1 }),
    ...leased('a', [12], { tpRank: 1 }),
    ...leased('a', [12], { tpRank: 5 }),
    ...leased('a', [12], { instance: 'nobody' }),
    ...leased('a', [12], { instance: '' }),
    query('i', 'a b', { as: 'q1' }),
    query('i', 'c', { as: 'q2' }),
    load(
      'i',
      [names],
      [
        ['$q1', [[4, 5]]],
        ['$q2', [[6]]],
      ],
      { lands },
    ),
    query('i', 'a b', { as: 'q1' }),
    query('i', 'c', { as: 'q2' }),
    load(
      'i',
      [names],
      [
        ['$q1', [[4, 5]]],
        ['$q2', [[6, 7]]],
      ],
      { lands },
    ),
    load('i', [names], [['$q1', [[4, 5]]]], { lands }),
    load('i', [names], [['$q2', [[6]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    load(
      'i',
      [names],
      [
        ['$q1', [[4]]],
        ['$q1', [[5]]],
      ],
      { lands },
    ),
    load('i', [names], [['$q1', [[4], [5]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    load('i', [names], [['$q1', [[4], [5]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    load('i', [names], [['$q1', []]], { lands }),
    load('i', [names], [], { lands }),
    load('i', [], [], { lands }),
    load('nobody', [names], [], { lands }),
    load('i', [names], [[ZERO_LEASE, [[1]]]], { lands }),
    load('i', [names], [['00', [[1]]]], { lands }),
    load('i', [names], [['', [[1]]]], { lands }),
    load('i', [names], [['00'.repeat(17), [[1]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    load(
      'i',
      [names],
      [
        ['00', [[1]]],
        ['$q1', [[1]]],
      ],
      { lands },
    ),
    load('i', [names], [['$q1', [[1]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    load(
      'i',
      [names],
      [
        ['$q1', [[1]]],
        [ZERO_LEASE, [[1]]],
      ],
      { lands },
    ),
    load('i', [names], [['$q1', [[1]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    release('$q1'),
    load('i', [names], [['$q1', [[1]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    unregister('i'),
    load('i', [names], [['$q1', [[1]]]], { lands }),
    register('i', two),
    load('i', [names], [['$q1', [[1]]]], { lands }),
    query('i', 'a', { as: 'q1' }),
    register('j', [layer('l0', 'm0'), layer('l1', 'm1')]),
    load('j', [names], [['$q1', [[1]]]], { lands }),
    load('i', [names], [['$q1', [[1]]]], { lands }),
  ],
};

const HEADER = '0800000000000000' + '444c4650' + '01000000';
const record = (name: string, hex: string): readonly Step[] => [
  { op: 'record', name, hex },
  query('i', 'a', { as: 'q1' }),
  load('i', [names], [['$q1', [[4]]]], { shm: name }),
  load('i', [names], [['$q1', [[4]]]], { lands }),
  load('nobody', [names], [['$q1', [[4]]]], { shm: name }),
];

const records: Sequence = {
  name: 'load: records',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    register('i', two),
    save('i', names, [0], 'a'),
    ...['', '/nope', 'nope', 'a/b/c', '/', '.', '..', 'x'.repeat(300)].flatMap((shm) => [
      load('i', [names], [], { shm }),
      load('nobody', [], [], { shm }),
    ]),
    ...record('good', `${HEADER}${'00'.repeat(16)}`),
    ...record('done', `${HEADER}01${'00'.repeat(15)}`),
    ...record('empty', ''),
    ...record('short', HEADER),
    ...record('one-less', `${HEADER}${'00'.repeat(15)}`),
    ...record('zero', '00'.repeat(32)),
    ...record('far', `1800000000000000444c465001000000${'00'.repeat(16)}`),
    ...record('odd', `0900000000000000444c465001000000${'00'.repeat(16)}`),
    ...record('magic', `0800000000000000444c465101000000${'00'.repeat(16)}`),
    ...record('version', `0800000000000000444c465002000000${'00'.repeat(16)}`),
    ...record('large', `${HEADER}${'00'.repeat(5000)}`),
    query('i', 'a', { as: 'q1' }),
    load('i', [names], [['$q1', [[4]]]], { state: 'shared', lands }),
    load('i', [names], [['$q1', [[4]]]], { state: 'shared', lands }),
    load('i', [names], [], { state: 'shared', lands }),
  ],
};

const ranks: Sequence = {
  name: 'load: several ranks',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    ...rank1,
    register('i', two, world),
    register('i', other, { ...world, tpRank: 1, device: 1 }),
    save('i', names, [0, 1], 'a b', { visible: '' }),
    save('i', names, [2, 3], 'a b', { tpRank: 1, device: 1 }),
    query('i', 'a b', { as: 'q1' }),
    load('i', [names], [['$q1', [[8, 9]]]], { lands }),
    load('i', [names], [['$q1', [[8, 9]]]], { tpRank: 1, device: 1, lands: landing(['d0', 'd1']) }),
    load('i', [names], [['$q1', [[8, 9]]]], { lands }),
    query('i', 'a b', { as: 'q1' }),
    load('i', [names], [['$q1', [[10, 11]]]], { tpRank: 1, lands }),
    load('i', [names], [['$q1', [[10, 11]]]], { device: 1, lands: landing(['d0', 'd1']) }),
    query('i', 'a b', { as: 'q1' }),
    load('i', [names], [['$q1', [[10]]]], { lands }),
    load('i', [names], [['$q1', [[10, 11]]]], { tpRank: 2, lands }),
    load('i', [names], [['$q1', [[10, 11]]]], { lands }),
    unregister('i'),
    register('p', [layer('a', 'm0')], { worldSize: 2 }),
    register('p', [layer('b', 'd0')], { worldSize: 2, ppRank: 1, device: 1 }),
    save('p', ['a'], [0], 'c', { visible: '' }),
    save('p', ['b'], [0], 'c', { ppRank: 1, device: 1 }),
    query('p', 'c', { as: 'q1' }),
    load('p', [['a']], [['$q1', [[5]]]], { device: 1, lands: landing(['d0']) }),
    load('p', [['a']], [['$q1', [[5]]]], { lands: landing(['m0']) }),
    query('p', 'c', { as: 'q1' }),
    load('p', [['b']], [['$q1', [[5]]]], { device: 1, lands: landing(['d0']) }),
  ],
};

/** Blocks of one shape are loaded by an instance of another one that shares the namespace. */
const into = (
  name: string,
  layers: Parameters<typeof register>[1],
  options: Parameters<typeof register>[2] = {},
): readonly Step[] => [
  register(name, layers, options),
  query(name, 'a b', { as: 'q1' }),
  load(name, [layers.map((each) => each.name)], [['$q1', [[4, 5]]]], { lands }),
  unregister(name),
];

const pairs = { bytesPerBlock: 2048, segments: 2, kvStrideBytes: 2048 };
const split = { bytesPerBlock: 2048, segments: 2, kvStrideBytes: 32_768 };

const layouts: Sequence = {
  name: 'load: layouts that share a namespace',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    ...rank1,
    register('i', two),
    save('i', names, [0, 1], 'a b'),
    ...into('fewer', [layer('l0', 'm0')]),
    ...into('names', [layer('x', 'm0'), layer('y', 'm1')]),
    ...into('smaller', [layer('l0', 'm0', { bytesPerBlock: 2048 }), layer('l1', 'm1', { bytesPerBlock: 2048 })]),
    ...into('larger', [
      layer('l0', 'm0', { bytesPerBlock: 8192, numBlocks: 8 }),
      layer('l1', 'm1', { bytesPerBlock: 8192, numBlocks: 8 }),
    ]),
    ...into('pairs', [layer('l0', 'm0', pairs), layer('l1', 'm1', pairs)]),
    ...into('split', [layer('l0', 'm0', split), layer('l1', 'm1', split)]),
    ...into('pages', two, { pageFirst: true }),
    ...into('one-page', [layer('l0', 'm0')], { pageFirst: true }),
    register('k', [layer('l0', 'm0', split), layer('l1', 'm1', split)], { namespace: 'k' }),
    save('k', names, [0, 1], 'c d'),
    query('k', 'c d', { as: 'q1' }),
    load('k', [names], [['$q1', [[6, 7]]]], { lands: landing(['m0', 'm1'], 2048) }),
    register('whole', [layer('l0', 'm0'), layer('l1', 'm1')], { namespace: 'k' }),
    query('whole', 'c d', { as: 'q1' }),
    load('whole', [names], [['$q1', [[6, 7]]]], { lands: landing(['m0', 'm1'], 2048) }),
    register('p', two, { namespace: 'p', pageFirst: true }),
    save('p', names, [0, 1], 'e f'),
    query('p', 'e f', { as: 'q1' }),
    load('p', [names], [['$q1', [[6, 7]]]], { lands }),
    query('p', 'e f', { as: 'q1' }),
    load('p', [['l1']], [['$q1', [[6, 7]]]], { lands }),
  ],
};

const groups: Sequence = {
  name: 'load: storage groups',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    allocate('m2'),
    register('g', [layer('a', 'm0'), layer('b', 'm1'), layer('c', 'm2')], { groups: [0, 1, 1] }),
    save('g', ['a', 'b', 'c'], [0, 1, 2], 'a b c'),
    ...[[['a']], [['b', 'c']], [['a'], ['b', 'c']], [['a'], []], [[], ['b']], [['a', 'b']], [['b'], ['a']]].flatMap(
      (asked): readonly Step[] => [
        query('g', 'a b c', { as: 'q1' }),
        query('g', 'a x c', { as: 'q2', group: 1 }),
        load('g', asked, [['$q1', asked.map(() => [4, 5, 6])]], { lands: landing(['m0', 'm1', 'm2']) }),
        load('g', asked, [['$q2', asked.map(() => [7, 8])]], { lands: landing(['m0', 'm1', 'm2']) }),
        query('g', 'a b c', { as: 'q1' }),
        query('g', 'a x c', { as: 'q2', group: 1 }),
        load(
          'g',
          asked,
          [
            ['$q1', asked.map((_, index) => (index === 0 ? [9, 10, 11] : [null, null, null]))],
            ['$q2', asked.map((_, index) => (index === 0 ? [null, null] : [12, 13]))],
          ],
          { lands: landing(['m0', 'm1', 'm2']) },
        ),
      ],
    ),
  ],
};

export const loadSequences: readonly Sequence[] = [loads, records, ranks, layouts, groups];
