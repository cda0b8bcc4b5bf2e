import { expect, test } from 'vitest';
import { layoutFrom } from '../../../../src/engine/registration/layout.ts';

const shape = (bytesPerBlock: number, kvStrideBytes: number, numBlocks: number, segments: number) => ({
  bytesPerBlock: BigInt(bytesPerBlock),
  kvStrideBytes: BigInt(kvStrideBytes),
  numBlocks: BigInt(numBlocks),
  segments,
});

test.each([
  [
    'one segment',
    shape(10, 999, 4, 1),
    40,
    { segmentSizeBytes: 10, pieceSizeBytes: 10, splitStrideBytes: 0, blockSizeBytes: 10 },
  ],
  [
    'adjacent segments',
    shape(10, 10, 4, 2),
    80,
    { segmentSizeBytes: 10, pieceSizeBytes: 20, splitStrideBytes: 0, blockSizeBytes: 20 },
  ],
  [
    'three adjacent segments',
    shape(10, 10, 2, 3),
    60,
    { segmentSizeBytes: 10, pieceSizeBytes: 30, splitStrideBytes: 0, blockSizeBytes: 30 },
  ],
  [
    'K and V apart',
    shape(10, 40, 4, 2),
    80,
    { segmentSizeBytes: 10, pieceSizeBytes: 10, splitStrideBytes: 40, blockSizeBytes: 20 },
  ],
  [
    'K and V far apart',
    shape(10, 45, 4, 2),
    85,
    { segmentSizeBytes: 10, pieceSizeBytes: 10, splitStrideBytes: 45, blockSizeBytes: 20 },
  ],
])('%s', (_, given, memorySizeBytes, expected) => {
  expect(layoutFrom('l', given, memorySizeBytes)).toEqual({ numBlocks: Number(given.numBlocks), ...expected });
});

test.each([
  ['no memory', shape(10, 0, 4, 1), 0, 'size_bytes must be > 0'],
  ['no blocks', shape(10, 0, 0, 1), 40, 'segment_bytes, num_blocks, and segments must be non-zero'],
  ['empty blocks', shape(0, 0, 4, 1), 40, 'must be non-zero'],
  ['no segments', shape(10, 0, 4, 0), 40, 'must be non-zero'],
  ['a size that only a bigint holds', shape(2 ** 53, 0, 3, 1), 40, 'too small: need 27021597764222976 bytes, got 40'],
  ['a block beyond 64 bits', shape(2 ** 62, 0, 1, 4), 40, 'block size overflow'],
  ['a layer beyond 64 bits', shape(2 ** 63, 0, 2, 1), 40, 'memory layout overflow'],
  ['two segments without a stride', shape(10, 0, 4, 2), 80, 'kv_stride_bytes must be > 0'],
  ['a stride inside a segment', shape(10, 9, 4, 2), 80, 'kv_stride_bytes 9 < segment_bytes 10: segments would overlap'],
  ['an overlap that also needs more memory', shape(10, 30, 4, 2), 60, 'overlaps blocks 3 apart'],
  [
    'three segments apart',
    shape(10, 40, 4, 3),
    200,
    'split layout (kv_stride_bytes 40 > segment_bytes 10) supports exactly 2 segments, got 3',
  ],
  ['too little contiguous memory', shape(10, 0, 4, 1), 39, 'registered memory too small: need 40 bytes, got 39'],
  ['too little split memory', shape(10, 40, 4, 2), 79, 'registered memory too small: need 80 bytes, got 79'],
  ['V of one block in K of another', shape(10, 25, 4, 2), 80, 'kv_stride_bytes 25 overlaps blocks 2 apart'],
  ['V at K of another block', shape(10, 30, 4, 2), 80, 'kv_stride_bytes 30 overlaps blocks 3 apart'],
])('%s is refused', (_, given, memorySizeBytes, words) => {
  expect(() => layoutFrom('l', given, memorySizeBytes)).toThrow(/^invalid argument: layer l: /);
  expect(() => layoutFrom('l', given, memorySizeBytes)).toThrow(words);
});
