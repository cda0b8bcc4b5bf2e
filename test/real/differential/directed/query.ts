import { allocate, connect, hashes, layer, POOL_BYTES, query, register, release, save } from '../builders.ts';
import type { Sequence } from '../step.ts';

const setup = [connect(), allocate('m0'), allocate('m1'), allocate('m2')];

const prefixes: Sequence = {
  name: 'query: prefixes',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...setup,
    query('nobody', 'a'),
    query('', 'a'),
    query('nobody', 'a', { req: '' }),
    register('half', [layer('l0', 'm0')], { worldSize: 2 }),
    query('half', 'a'),
    query('half', ''),
    query('half', '', { req: '' }),
    register('i', [layer('l0', 'm0')]),
    query('i', ''),
    query('i', 'a', { req: '' }),
    save('i', ['l0'], [0, 1, 2], 'a b c'),
    ...['a', 'a b c', 'a x c', 'x a', 'c', 'c b a', 'a a', 'a b c d', 'a a a a a', ''].flatMap((words) => [
      query('i', words, { as: 'q1' }),
      query('i', words, { wait: true }),
      query('i', words, { group: 1 }),
      query('i', words, { group: 1, wait: true }),
      release('$q1'),
      release('$q1'),
    ]),
    query('i', 'a', { req: 'same' }),
    query('i', 'a b', { req: 'same' }),
    query('i', 'a', { req: ' ' }),
    query('i', 'a', { req: 'ü' }),
    query('i', 'a', { group: 4294967295 }),
    query('i', 'a', { group: 4294967296 }),
    query('i', 'a', { group: -1 }),
    release(''),
    release('00'),
    release('00'.repeat(16)),
    release('00'.repeat(17)),
    register('other', [layer('l0', 'm1')], { namespace: 'other' }),
    query('other', 'a'),
    register('alike', [layer('zz', 'm1')]),
    query('alike', 'a b c'),
    register('unlike', [layer('l0', 'm1'), layer('l1', 'm2')]),
    query('unlike', 'a b c'),
  ],
};

const words = ['a', 'a b c', 'a x c', 'b c a', 'x a', 'x', 'a x', 'a b', 'd a', 'a a', 'x x', ''];

const groups: Sequence = {
  name: 'query: storage groups',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...setup,
    register('g', [layer('a', 'm0'), layer('b', 'm1'), layer('c', 'm2')], { groups: [0, 1, 2] }),
    save('g', ['a', 'b'], [0, 1, 2], 'a b c'),
    { ...save('g', ['c'], [0, 1], 'a c', { group: 2 }) },
    ...words.flatMap((asked) =>
      [0, 1, 2, 3].flatMap((group) => [query('g', asked, { group }), query('g', asked, { group, wait: true })]),
    ),
    { op: 'http', method: 'POST', path: '/cache/memory/cleanup' },
    query('g', 'a b c', { group: 1, wait: true }),
    // A raw key of group 0 equals that of a member of group 1 when its hash ends in the number.
    { ...save('g', ['a'], [3], 'k', { visible: '' }), saves: [['a', [3], [`${hashes('k')[0]}00000001`]]] },
    query('g', 'k', { group: 1 }),
  ],
};

export const querySequences: readonly Sequence[] = [prefixes, groups];
