import { allocate, connect, hash, hashes, layer, POOL_BYTES, query, register, save, unregister } from '../builders.ts';
import type { SaveStep, Sequence, Step } from '../step.ts';

const rank0 = [connect(), allocate('m0'), allocate('m1')];
const rank1 = [allocate('d0', { device: 1 }), allocate('d1', { device: 1 })];
const two = [layer('l0', 'm0'), layer('l1', 'm1')];
const other = [layer('l0', 'd0'), layer('l1', 'd1')];
const world = { tpSize: 2, worldSize: 2 };
const onRank1 = { tpRank: 1, device: 1 };

const saves = (instance: string, list: SaveStep['saves'], options: Partial<SaveStep> = {}): SaveStep => ({
  ...save(instance, [], [], '', { visible: '' }),
  saves: list,
  ...options,
});

const x = hash('x');

const refusals: Sequence = {
  name: 'save: refusals',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    register('i', two),
    ...[
      saves('nobody', [['l0', [0], [x]]]),
      saves('', []),
      saves('i', []),
      saves('i', [['l0', [], []]]),
      saves('i', [['zz', [], []]]),
      saves('i', [['zz', [0], [x]]]),
      saves('i', [['', [0], [x]]]),
      saves('i', [['l0', [0, 1], [x]]]),
      saves('i', [['l0', [0], [x, hash('y')]]]),
      saves('nobody', [['l0', [0], [x, hash('y')]]]),
      saves('i', [['zz', [0], [x, hash('y')]]]),
      saves('i', [
        ['l0', [0], [x]],
        ['l1', [0, 1], [x]],
      ]),
      saves('i', [['l0', [16], [x]]]),
      saves('i', [['l0', [4294967295], [x]]]),
      saves('i', [['l0', [-1], [x]]]),
      saves('i', [['l0', [4294967296], [x]]]),
      saves('i', [
        ['l0', [0], [x]],
        ['l1', [16], [x]],
      ]),
      saves('i', [
        ['l0', [0], [x]],
        ['zz', [0], [x]],
      ]),
      saves('i', [['l0', [0], [x]]], { device: 1 }),
      saves('i', [['l0', [0], [x]]], { device: 9 }),
      saves('i', [['l0', [0], [x]]], { device: -1 }),
      saves('i', [], { device: 1 }),
      saves('i', [['l0', [0], [x]]], { tpRank: 1 }),
      saves('i', [['l0', [0], [x]]], { ppRank: 1 }),
      saves('i', [['l0', [0], [x]]], { tpRank: 9, ppRank: 9, device: 9 }),
    ],
    query('i', 'x'),
    save('i', ['l0', 'l1'], [0], 'x'),
    query('i', 'x'),
    saves('i', [
      ['l0', [99], [x]],
      ['l1', [99], [x]],
    ]),
  ],
};

const contents: Sequence = {
  name: 'save: what is kept',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    register('i', two),
    save('i', ['l0'], [0], 'a', { visible: '' }),
    query('i', 'a'),
    save('i', ['l0'], [1], 'a', { visible: '' }),
    query('i', 'a'),
    save('i', ['l1'], [0], 'a'),
    query('i', 'a'),
    save('i', ['l0', 'l1'], [2, 3], 'a b'),
    query('i', 'a b'),
    saves('i', [
      ['l0', [4, 5], hashes('c d')],
      ['l1', [4, 5], hashes('d c')],
    ]),
    save('i', ['l0', 'l1'], [6, 7, 6], 'e f e', { visible: 'e f' }),
    save('i', ['l0', 'l0', 'l1'], [8], 'g'),
    save('i', ['l0', 'l1'], [0, 1], 'h h', { visible: 'h' }),
    query('i', 'c d e f g h'),
    saves('i', [
      ['l0', [0, 1, 2], ['', '00', 'ab'.repeat(5000)]],
      ['l1', [0, 1, 2], ['', '00', 'ab'.repeat(5000)]],
    ]),
    { ...query('i', ''), hashes: ['', '00', 'ab'.repeat(5000)] },
    save('i', ['l0'], [9], 'z', { visible: '' }),
    unregister('i'),
    register('i', two),
    query('i', 'a b'),
    save('i', ['l1'], [9], 'z'),
    query('i', 'z'),
  ],
};

const ranks: Sequence = {
  name: 'save: several ranks',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    ...rank1,
    register('i', two, world),
    save('i', ['l0'], [0], 'x', { visible: '' }),
    query('i', 'x'),
    register('i', other, { ...world, ...onRank1 }),
    save('i', ['l0', 'l1'], [0], 'x', { visible: '' }),
    query('i', 'x'),
    save('i', ['l0', 'l1'], [1], 'y', { ...onRank1, visible: '' }),
    query('i', 'x y'),
    save('i', ['l0', 'l1'], [1], 'x', onRank1),
    save('i', ['l0', 'l1'], [1], 'y'),
    query('i', 'x y'),
    save('i', ['l0', 'l1'], [2], 'q', { device: 1, visible: '' }),
    save('i', ['l0', 'l1'], [2], 'q', { tpRank: 1, visible: '' }),
    query('i', 'q'),
    unregister('i'),
    register('p', [layer('a', 'm0'), layer('b', 'm1')], { worldSize: 2 }),
    register('p', [layer('c', 'd0')], { worldSize: 2, ppRank: 1, device: 1 }),
    save('p', ['c'], [0], 'r', { visible: '' }),
    save('p', ['a'], [0], 'r', { ppRank: 1, device: 1, visible: '' }),
    save('p', ['a', 'b'], [0], 'r', { visible: '' }),
    save('p', ['c'], [0], 'r', { ppRank: 1, device: 1 }),
    query('p', 'r'),
    unregister('p'),
    register('m', two, { worldSize: 2 }),
    register('m', other, { worldSize: 2, device: 1 }),
    save('m', ['l0'], [0], 's', { visible: '' }),
    save('m', ['l1'], [0], 's', { device: 1 }),
    query('m', 's'),
  ],
};

const page = { pageFirst: true };

const pages: Sequence = {
  name: 'save: pages',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...rank0,
    ...rank1,
    register('i', two, page),
    save('i', ['l0'], [0], 'x', { visible: '' }),
    save('i', ['l0', 'l0'], [0], 'x', { visible: '' }),
    saves('i', [
      ['l0', [0], [x]],
      ['l1', [1], [x]],
    ]),
    saves('i', [
      ['l0', [0, 1], hashes('p q')],
      ['l1', [0, 1], hashes('p r')],
    ]),
    saves('i', [
      ['l0', [0, 1], hashes('s t')],
      ['l1', [1, 0], hashes('t s')],
    ]),
    saves('i', [
      ['l0', [0], [hash('u')]],
      ['l1', [], []],
    ]),
    saves('i', [
      ['l0', [], []],
      ['l1', [], []],
    ]),
    save('i', ['l1', 'l0'], [3], 'v'),
    query('i', 'x v'),
    query('i', 'v'),
    unregister('i'),
    register('k', [layer('l0', 'm0', { numBlocks: 8, segments: 2, kvStrideBytes: 32_768 })], page),
    save('k', ['l0'], [0], 'w', { visible: '' }),
    unregister('k'),
    register('j', [layer('a', 'm0'), layer('b', 'm1')], { ...page, worldSize: 2 }),
    register('j', [layer('c', 'd0')], { ...page, worldSize: 2, device: 1 }),
    save('j', ['a', 'b'], [0], 'y', { visible: '' }),
    save('j', ['c'], [0], 'z', { visible: '' }),
    save('j', ['a', 'c'], [0], 'z', { visible: '' }),
    save('j', ['c'], [0], 'y', { device: 1 }),
    query('j', 'y'),
  ] satisfies readonly Step[],
};

export const saveSequences: readonly Sequence[] = [refusals, contents, ranks, pages];
