import {
  allocate,
  connect,
  landing,
  layer,
  load,
  POOL_METRICS,
  present,
  query,
  register,
  release,
  save,
} from '../builders.ts';
import type { Sequence, Step } from '../step.ts';

const MIB = 2 ** 20;
const LONG_STEPS = 500;
const KIB = 2 ** 10;
const names = ['l0', 'l1'];
const used: Step = { op: 'metrics', names: POOL_METRICS };
const cleanup: Step = { op: 'http', method: 'POST', path: '/cache/memory/cleanup' };

const numbered = (from: number, to: number, letter = 'f'): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${letter}${from + index}`);
const words = (...numbers: Parameters<typeof numbered>): string => numbered(...numbers).join(' ');
const ids = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index % 32);

/** Eight blocks of two layers of 64 KiB are as many as a pool of 1 MiB holds. */
const eightBlocks: readonly Step[] = [
  connect(),
  allocate('m0', { size: 32 * 64 * KIB }),
  allocate('m1', { size: 32 * 64 * KIB }),
  register('i', [
    layer('l0', 'm0', { numBlocks: 32, bytesPerBlock: 64 * KIB }),
    layer('l1', 'm1', { numBlocks: 32, bytesPerBlock: 64 * KIB }),
  ]),
];

const saved = (...list: readonly string[]): readonly Step[] => list.map((word) => save('i', names, [0], word));
const lands = landing(['m0', 'm1'], 64 * KIB);

const full: readonly Step[] = [
  ...eightBlocks,
  ...saved(...numbered(0, 7)),
  used,
  present('i', 'f0'),
  ...saved('f8'),
  present('i', words(0, 8)),
  ...saved('f9'),
  present('i', words(0, 9)),
  used,
  cleanup,
  used,
  save('i', names, ids(9), words(0, 8, 'n'), { visible: '' }),
  save('i', names, ids(20), words(0, 19, 'm'), { visible: '' }),
  used,
  ...saved(...numbered(0, 3, 'k')),
  query('i', words(0, 3, 'k'), { as: 'q1' }),
  save('i', names, ids(5), words(0, 4, 'o'), { visible: '' }),
  present('i', words(0, 3, 'k')),
  save('i', names, ids(4), words(0, 3, 'o')),
  used,
  cleanup,
  used,
  present('i', words(0, 3, 'k')),
  save('i', names, ids(5), words(0, 4, 'p'), { visible: '' }),
  load('i', [names], [['$q1', [[20, 21, 22, 23]]]], { lands }),
  used,
  save('i', names, ids(5), words(0, 4, 'p')),
  used,
];

const batch: readonly Step[] = [
  ...eightBlocks,
  save('i', names, ids(8), words(0, 7)),
  used,
  query('i', 'f0', { as: 'q1' }),
  save('i', names, [0], 'y', { visible: '' }),
  present('i', `${words(0, 7)} y`),
  used,
  save('i', ['l0'], [0], 'z', { visible: '' }),
  load('i', [names], [['$q1', [[9]]]], { lands }),
  used,
  save('i', names, [0], 'y'),
  used,
  cleanup,
  used,
  save('i', names, ids(4), words(0, 3, 'g')),
  save('i', names, ids(4), words(0, 3, 'h')),
  query('i', 'g1', { as: 'q2' }),
  query('i', 'h2', { as: 'q3' }),
  cleanup,
  used,
  release('$q2'),
  used,
  release('$q3'),
  used,
];

const partial: readonly Step[] = [
  ...eightBlocks,
  ...numbered(0, 15, 'p').map((word) => save('i', ['l0'], [0], word, { visible: '' })),
  used,
  save('i', ['l0'], [0], 'q0', { visible: '' }),
  save('i', ['l1'], [0], 'p0', { visible: '' }),
  present('i', 'p0'),
  cleanup,
  used,
];

const large: readonly Step[] = [
  connect(),
  allocate('m0', { size: 2 * MIB }),
  register('i', [layer('l0', 'm0', { numBlocks: 1, bytesPerBlock: 2 * MIB })]),
  save('i', ['l0'], [0], 'a', { visible: '' }),
  used,
  register('j', [layer('l0', 'm0', { numBlocks: 2, bytesPerBlock: MIB })]),
  save('j', ['l0'], [0], 'b'),
  used,
  save('j', ['l0'], [1], 'c'),
  present('j', 'b c'),
];

/** What one block of this size takes of the pool, and how many of them fill it. */
const rounding = (size: number): readonly Step[] => [
  allocate(`s${size}`, { size }),
  register(`s${size}`, [layer('l0', `s${size}`, { numBlocks: 1, bytesPerBlock: size })]),
  save(`s${size}`, ['l0'], [0], `s${size}`),
  used,
  cleanup,
];

const filled = (size: number): readonly Step[] => [
  ...rounding(size),
  ...numbered(0, Math.floor(MIB / size) + 1, `x${size}-`).map((word) => save(`s${size}`, ['l0'], [0], word)),
  used,
  cleanup,
];

const sizes: readonly Step[] = [
  connect(),
  ...[1, 511, 512, 513, 4095, 4096, 4097, 5000, 9000].flatMap(rounding),
  ...[20_000, 100_000, 131_073, 300_000, 700_000].flatMap(filled),
];

/** 2048 blocks of 4 KiB fill a pool of 8 MiB. */
const many = (...steps: readonly Step[]): readonly Step[] => [
  connect(),
  allocate('m', { size: 32 * 4 * KIB }),
  register('i', [layer('l0', 'm', { numBlocks: 32 })]),
  ...steps,
];

const singles = numbered(0, 2047).map((word, index) =>
  save('i', ['l0'], [index % 32], word, { visible: index % 64 === 63 ? word : '' }),
);

const order = many(
  ...singles,
  used,
  ...['f0', 'f5', 'f7', 'f100'].map((word) => present('i', word)),
  query('i', 'f3', { as: 'q1' }),
  save('i', ['l0'], [0], 'one-more'),
  used,
  present('i', words(0, 2047)),
  save('i', ['l0'], [1], 'two-more'),
  used,
);

/** In pieces of one block each a Save finds room between the leased ones. */
const fragments = (isBlockwise: boolean) => {
  const saveOf = (count: number, prefix: string) => {
    const saved = words(0, count - 1, prefix);
    return save('i', ['l0'], ids(count), saved, isBlockwise ? {} : { visible: '' });
  };
  return many(
    ...singles,
    ...numbered(0, 2047)
      .filter((_, index) => index % 8 === 0)
      .map((word, index) => query('i', word, { as: `q${index}` })),
    saveOf(8, 'g'),
    used,
    present('i', `${words(0, 15)} ${words(0, 7, 'g')}`),
    saveOf(7, 'h'),
    saveOf(20, 'j'),
    used,
    ...Array.from({ length: 256 }, (_, index) => release(`$q${index}`)),
    save('i', ['l0'], ids(8), words(0, 7, 'g')),
    used,
  );
};

const inPool = (name: string, poolSizeBytes: number, steps: readonly Step[], isBlockwise = false): Sequence => ({
  name: `limits: ${name}${isBlockwise ? ', block by block' : ''}`,
  poolSizeBytes,
  // Counters and the memory of partial blocks outlive a sequence.
  ownServers: true,
  steps,
  isLong: steps.length > LONG_STEPS,
  isBlockwise,
});

export const limitSequences: readonly Sequence[] = [
  inPool('a full pool', MIB, full),
  inPool('one Save is one piece of memory', MIB, batch),
  inPool('blocks that are not complete', MIB, partial),
  inPool('blocks as large as the pool', MIB, large),
  inPool('what a size is rounded to', MIB, sizes),
  inPool('the order of eviction', 8 * MIB, order),
  inPool('a pool in fragments', 8 * MIB, fragments(false)),
  inPool('a full pool', MIB, full, true),
  inPool('one Save is one piece of memory', MIB, batch, true),
  inPool('a pool in fragments', 8 * MIB, fragments(true), true),
];
