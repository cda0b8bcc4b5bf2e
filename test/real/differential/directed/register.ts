import {
  allocate,
  BLOCK_BYTES,
  BLOCKS,
  connect,
  type Layer,
  layer,
  POOL_BYTES,
  register,
  save,
  unregister,
} from '../builders.ts';
import type { RegisterStep, Sequence, Step, WrapperSpec } from '../step.ts';

type Changes = Partial<RegisterStep>;

const two = [layer('l0', 'm0'), layer('l1', 'm1')];
const three = [layer('a', 'm0'), layer('b', 'm1'), layer('c', 'm2')];
const pageFirst = { pageFirst: true };

const memories: readonly Step[] = [
  connect(),
  ...['m0', 'm1', 'm2', 'm3'].map((name) => allocate(name)),
  ...['d0', 'd1'].map((name) => allocate(name, { device: 1 })),
  allocate('e0', { device: 2 }),
];

/** Each registration is tried by itself, and taken back. */
const eachAlone = (name: string, tries: readonly RegisterStep[]): Sequence => ({
  name: `register: ${name}`,
  poolSizeBytes: POOL_BYTES,
  steps: [...memories, ...tries.flatMap((attempt) => [attempt, unregister(attempt.instance)])],
});

const changed = (changes: readonly Changes[], layers: readonly Layer[] = two) =>
  changes.map((change, index) => register(`i${index}`, layers, change));

const argumentsOf = eachAlone('arguments', [
  ...changed([
    { tpSize: 0 },
    { tpSize: 0, worldSize: 0 },
    { tpSize: 0, tpRank: 1 },
    { worldSize: 0 },
    { tpRank: 1 },
    { tpRank: 9, tpSize: 2 },
    { instance: '' },
    { namespace: '' },
    { instance: 'ü€😀' },
    { layers: [], wrappers: [], numBlocks: [], bytesPerBlock: [], kvStrideBytes: [], segments: [] },
    { layers: [], wrappers: [], numBlocks: [], bytesPerBlock: [], kvStrideBytes: [], segments: [], tpRank: 1 },
    { layers: [] },
    { layers: ['l0'] },
    { wrappers: [{ memory: 'm0' }] },
    { numBlocks: [BLOCKS] },
    { bytesPerBlock: [BLOCK_BYTES] },
    { kvStrideBytes: [] },
    { segments: [1, 1, 1] },
    { groups: [0] },
    { groups: [0, 1, 2] },
    { groups: [] },
    { groups: [0], segments: [1, 0] },
    { layers: ['l0', 'l0'] },
    { layers: ['', 'l1'] },
    { layers: ['l:0', 'l 1'] },
    { device: 1 },
    { device: 9 },
    { device: 2147483647 },
    { ppRank: 3 },
    { backend: 'nonsense' },
  ]),
  register('dup', three, { layers: ['a', 'b', 'b'] }),
  register('second-device', [layer('l0', 'm0'), layer('l1', 'd0')]),
  register('first-device', [layer('l0', 'd0'), layer('l1', 'm0')]),
  register('right-device', [layer('l0', 'd0')], { device: 1 }),
]);

const shapes: readonly Omit<Layer, 'name' | 'wrapper'>[] = [
  { numBlocks: 0 },
  { bytesPerBlock: 0 },
  { segments: 0 },
  { numBlocks: 0, segments: 0 },
  { numBlocks: BLOCKS + 1 },
  { numBlocks: BLOCKS - 1 },
  { bytesPerBlock: BLOCK_BYTES + 1 },
  { segments: 2 },
  { segments: 2, kvStrideBytes: BLOCK_BYTES, numBlocks: 8 },
  { segments: 2, kvStrideBytes: BLOCK_BYTES, numBlocks: 9 },
  { segments: 2, kvStrideBytes: 1024, numBlocks: 8 },
  { segments: 2, kvStrideBytes: 8 * BLOCK_BYTES, numBlocks: 8 },
  { segments: 2, kvStrideBytes: 8 * BLOCK_BYTES, numBlocks: 9 },
  { segments: 2, kvStrideBytes: 2 * BLOCK_BYTES, numBlocks: 8 },
  { segments: 2, kvStrideBytes: 6000, numBlocks: 4 },
  { segments: 2, kvStrideBytes: 28_673, numBlocks: 8 },
  { segments: 2, kvStrideBytes: 8193, numBlocks: 2 },
  { segments: 2, kvStrideBytes: 6000, numBlocks: 1 },
  { segments: 3, kvStrideBytes: 8192, numBlocks: 4 },
  { segments: 3, kvStrideBytes: BLOCK_BYTES, numBlocks: 5 },
  { segments: 3, kvStrideBytes: BLOCK_BYTES, numBlocks: 6 },
  { segments: 4294967295, kvStrideBytes: BLOCK_BYTES, numBlocks: 1 },
  { kvStrideBytes: 77 },
  { numBlocks: '9223372036854775808' },
  { numBlocks: '9007199254740992', bytesPerBlock: 1 },
  { numBlocks: '9007199254740993', bytesPerBlock: 1 },
  { bytesPerBlock: '18446744073709551615' },
  { bytesPerBlock: '18446744073709551615', segments: 2, kvStrideBytes: '18446744073709551615' },
  { bytesPerBlock: '4611686018427387904', segments: 4, kvStrideBytes: '4611686018427387904' },
  { segments: 2, kvStrideBytes: '18446744073709551615' },
  { segments: 2, kvStrideBytes: '18446744073709551615', numBlocks: 1 },
  { segments: 2, kvStrideBytes: '18446744073709547520', numBlocks: 1 },
];

const layouts = eachAlone(
  'layouts',
  shapes.map((shape, index) => register(`s${index}`, [layer('l0', 'm0', shape)])),
);

const wrappers = (version: string): readonly WrapperSpec[] => [
  { hex: '' },
  { hex: '00' },
  { hex: 'deadbeef' },
  { hex: '80' },
  { hex: '8004' },
  { pickled: '7' },
  { pickled: '{"handle": 1}' },
  { pickled: 'None' },
  { pickled: '"text"' },
  { memory: 'm0', length: 1 },
  { memory: 'm0', length: 100 },
  { memory: 'm0', length: 300 },
  ...[0, 1, 2, 3, 4, 5].map((protocol) => ({ memory: 'm0', protocol })),
  { memory: 'm0', suffix: '01020304' },
  { memory: 'm0', suffix: '2e' },
  { memory: 'm0', attributes: { device_uuid: '"nonsense"' } },
  { memory: 'm0', attributes: { device_uuid: '""' } },
  { memory: 'm0', attributes: { device_uuid: 'None' } },
  { memory: 'm0', attributes: { device_uuid: '"00000000-0000-4000-8000-000000000001"' } },
  { memory: 'm0', without: ['device_uuid'] },
  { memory: 'm0', attributes: { stride: 'None' } },
  { memory: 'm0', without: ['stride'] },
  { memory: 'm0', attributes: { stride: '(2,)' } },
  { memory: 'm0', attributes: { stride: '[1]' } },
  { memory: 'm0', attributes: { extra: '7' } },
  { memory: 'm0', attributes: { extra: 'None' } },
  { memory: 'm0', attributes: { extra: '{"a": (1, 2.5, b"x", True)}' } },
  { memory: 'm0', attributes: { dtype: 'None' } },
  ...['float16', 'bfloat16', 'float32', 'float8_e4m3fn', 'int8', 'int64', 'bool'].map((dtype) => ({
    memory: 'm0',
    attributes: { dtype: `torch.${dtype}` },
  })),
  { memory: 'm0', attributes: { shape: 'tuple(wrapper.shape)' } },
  { memory: 'm0', attributes: { shape: '[65536]' } },
  { memory: 'm0', attributes: { shape: 'torch.Size((16, 4096))', stride: '(4096, 1)' } },
  { memory: 'm0', attributes: { shape: 'torch.Size((2, 8, 4096))', stride: '(32768, 4096, 1)' } },
  { memory: 'm0', attributes: { handle: 'wrapper.handle[:7]' } },
  { memory: 'm0', attributes: { handle: 'wrapper.handle + (1,)' } },
  { memory: 'm0', attributes: { handle: '(wrapper.handle[0], wrapper.handle[1][:30]) + wrapper.handle[2:]' } },
  { memory: 'm0', attributes: { handle: '(wrapper.handle[0], bytes(64)) + wrapper.handle[2:]' } },
  { memory: 'm0', attributes: { handle: '(5,) + wrapper.handle[1:]' } },
  { memory: 'm0', attributes: { handle: 'wrapper.handle[:2] + (131072,) + wrapper.handle[3:]' } },
  { memory: 'm0', attributes: { handle: 'wrapper.handle[:2] + (4096,) + wrapper.handle[3:]' } },
  { memory: 'm0', attributes: { handle: 'wrapper.handle[:2] + (61440, 4096) + wrapper.handle[4:]' } },
  { memory: 'm0', attributes: { handle: 'wrapper.handle[:7] + (False,)' } },
  { memory: 'm0', without: ['storage_offset'] },
  // A server of 0.23 takes what lies outside of the memory too (`wrapper-offset` in docs/engine-differences.md).
  ...(version.startsWith('0.23.') ? [] : ['-1', '2**63']).map((offset) => ({
    memory: 'm0',
    attributes: { storage_offset: offset },
  })),
  ...['16', '4096', '65535', '65536', '65537', 'True', 'None', '"1"', '1.0'].map((offset) => ({
    memory: 'm0',
    attributes: { storage_offset: offset },
  })),
  { memory: 'm0', attributes: { storage_offset: '4096', dtype: 'torch.float16' } },
  ...(version.startsWith('0.23.') ? [] : [{ memory: 'm0', offset: 4096 }]),
];

const pickles = (version: string): Sequence =>
  eachAlone(
    'wrappers',
    wrappers(version).flatMap((wrapper, index) => [
      register(`w${index}`, [{ name: 'l0', wrapper }]),
      register(`v${index}`, [{ name: 'l0', wrapper, numBlocks: 15 }]),
    ]),
  );

const again: Sequence = {
  name: 'register: twice, and by others',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...memories,
    register('again', two),
    register('again', two),
    register('again', two, { namespace: 'other' }),
    register('again', two, { ppRank: 1 }),
    register('again', [layer('l0', 'd0'), layer('l1', 'd1')], { device: 1 }),
    register('again', two, { tpSize: 2 }),
    register('again', two, { worldSize: 2 }),
    register('again', two, { pageFirst: true }),
    register('again', two, { tpSize: 2, ppRank: 1 }),
    register('again', two, { worldSize: 2, ppRank: 1 }),
    register('again', two, { ...pageFirst, ppRank: 1 }),
    { op: 'http', method: 'GET', path: '/instances' },
    unregister('again'),
    unregister('again'),
    unregister(''),
    register('again', two),
    { op: 'free', memory: 'm3' },
    register('freed', [layer('l0', 'm3')]),
    unregister('again'),
  ],
};

const world = { tpSize: 2, worldSize: 2 };
const rank1 = { ...world, tpRank: 1, device: 1 };
const other = [layer('l0', 'd0'), layer('l1', 'd1')];

/** Two ranks, the second of which completes the instance. */
const sealed = (
  name: string,
  first: readonly [readonly Layer[], Changes?],
  second: readonly [readonly Layer[], Changes?],
): readonly Step[] => [
  register(name, first[0], { ...world, ...first[1] }),
  register(name, second[0], { ...rank1, ...second[1] }),
  save(name, [first[0][0]!.name], [0], 'x', { visible: '' }),
  { op: 'http', method: 'GET', path: '/instances' },
  unregister(name),
];

const small = (name: string, memory: string) => layer(name, memory, { bytesPerBlock: 2048 });
const split = (name: string, memory: string) =>
  layer(name, memory, { bytesPerBlock: 2048, segments: 2, kvStrideBytes: 32_768 });
const pairs = (name: string, memory: string) =>
  layer(name, memory, { bytesPerBlock: 2048, segments: 2, kvStrideBytes: 2048 });

const seals: Sequence = {
  name: 'register: what completes an instance',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...memories,
    ...sealed('plain', [two], [other]),
    ...sealed('incomplete', [two], [two, { tpRank: 0, device: 1 }]),
    ...sealed('owners', [two], [other, { tpRank: 0 }]),
    ...sealed('ghost', [two, { worldSize: 3 }], [other, { worldSize: 3 }]),
    ...sealed('fewer-layers', [two], [[layer('l0', 'd0')]]),
    ...sealed('other-layers', [two], [[layer('x', 'd0'), layer('y', 'd1')]]),
    ...sealed('size', [two], [[small('l0', 'd0'), small('l1', 'd1')]]),
    ...sealed('one-size', [two], [[layer('l0', 'd0'), small('l1', 'd1')]]),
    ...sealed('split', [two], [[split('l0', 'd0'), split('l1', 'd1')]]),
    ...sealed('pairs', [two], [[pairs('l0', 'd0'), pairs('l1', 'd1')]]),
    ...sealed('blocks', [two], [[layer('l0', 'd0', { numBlocks: 8 }), layer('l1', 'd1', { numBlocks: 4 })]]),
    ...sealed('groups', [two, { groups: [0, 1] }], [other, { groups: [0, 1] }]),
    ...sealed('other-groups', [two, { groups: [0, 1] }], [other, { groups: [1, 0] }]),
    ...sealed('no-groups', [two, { groups: [0, 1] }], [other]),
    ...sealed('stages', [[layer('a', 'm0')], { tpSize: 1 }], [[layer('b', 'd0')], { tpSize: 1, tpRank: 0, ppRank: 1 }]),
    ...sealed(
      'one-stage',
      [[layer('a', 'm0')], { tpSize: 1 }],
      [[layer('a', 'd0')], { tpSize: 1, tpRank: 0, ppRank: 1 }],
    ),
    ...sealed('replicas', [two, { tpSize: 1 }], [other, { tpSize: 1, tpRank: 0 }]),
    ...sealed('tp-of-one-worker', [two, { worldSize: 1 }], [other, { worldSize: 1 }]),
    ...sealed('same-device', [two], [two, { device: 0 }]),
    ...sealed('pages', [two, pageFirst], [other, pageFirst]),
    ...sealed(
      'pages-split',
      [two, { ...pageFirst, tpSize: 1 }],
      [[layer('x', 'd0')], { ...pageFirst, tpSize: 1, tpRank: 0 }],
    ),
    ...sealed(
      'pages-overlap',
      [two, { ...pageFirst, tpSize: 1 }],
      [[layer('l1', 'd0'), layer('l2', 'd1')], { ...pageFirst, tpSize: 1, tpRank: 0 }],
    ),
    ...sealed(
      'pages-subset',
      [two, { ...pageFirst, tpSize: 1 }],
      [[layer('l0', 'd0')], { ...pageFirst, tpSize: 1, tpRank: 0 }],
    ),
    ...sealed(
      'pages-groups',
      [two, { ...pageFirst, tpSize: 1, groups: [0, 1] }],
      [other, { ...pageFirst, tpSize: 1, tpRank: 0, groups: [0, 1] }],
    ),
    ...sealed('prefix', [two, { tpSize: 1, worldSize: 1 }], [other, { tpSize: 1, worldSize: 1, tpRank: 0, device: 0 }]),
  ],
};

const groups = eachAlone('storage groups', [
  ...[
    [0, 0],
    [0, 1],
    [1, 0],
    [0, 2],
    [1, 2],
    [2, 1],
    [1, 1],
    [5, 0],
    [0, 4294967295],
    [4294967295, 4294967295],
  ].map((ids, index) => register(`g${index}`, two, { groups: ids })),
  ...[
    [0, 1, 3],
    [0, 1, 2],
    [2, 1, 0],
    [0, 0, 1],
  ].map((ids, index) => register(`h${index}`, three, { groups: ids })),
  register('pages', two, { ...pageFirst, groups: [0, 1] }),
  register('pages-zero', two, { ...pageFirst, groups: [0, 0] }),
]);

const prefixes: Sequence = {
  name: 'register: an id that begins another',
  poolSizeBytes: POOL_BYTES,
  steps: [
    ...memories,
    register('a', two),
    register('a:b', other, { device: 1 }),
    unregister('a'),
    save('a:b', ['l0'], [0], 'x', { device: 1, visible: '' }),
    register('a:b', other, { device: 1 }),
    unregister('a:b'),
  ],
};

export const registerSequences = (version: string): readonly Sequence[] => [
  argumentsOf,
  layouts,
  pickles(version),
  again,
  seals,
  groups,
  prefixes,
];
