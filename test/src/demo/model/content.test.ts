import { describe, expect, test } from 'vitest';
import {
  bytesOf,
  contentSeed,
  countWrongBytes,
  fillContent,
  POISON_BYTE,
  type SegmentIdentity,
} from '../../../../src/demo/model/content.ts';

const WORDS = 4_096;
const identity: SegmentIdentity = {
  namespace: 'ns',
  blockHash: new Uint8Array(32).fill(7),
  effectiveTpRank: 0,
  layerName: 'layer.0',
  segment: 0,
};

function contentOf(changes: Partial<SegmentIdentity> = {}): Uint32Array {
  const words = new Uint32Array(WORDS);
  fillContent(words, contentSeed({ ...identity, ...changes }));
  return words;
}

function wrongBytesOf(words: Uint32Array): number {
  return countWrongBytes(words, contentSeed(identity), new Uint32Array(WORDS));
}

describe('block content', () => {
  test('is the same each time', () => {
    expect(wrongBytesOf(contentOf())).toBe(0);
  });

  test.each<[string, Partial<SegmentIdentity>]>([
    ['namespace', { namespace: 'ns2' }],
    ['hash', { blockHash: new Uint8Array(32).fill(8) }],
    ['effective rank', { effectiveTpRank: 1 }],
    ['layer', { layerName: 'layer.1' }],
    ['segment', { segment: 1 }],
  ])('of another %s is almost wholly wrong', (_, changes) => {
    expect(wrongBytesOf(contentOf(changes))).toBeGreaterThan(WORDS * 4 * 0.95);
  });

  test('that was poisoned is almost wholly wrong', () => {
    const words = new Uint32Array(WORDS);
    bytesOf(words).fill(POISON_BYTE);
    expect(wrongBytesOf(words)).toBeGreaterThan(WORDS * 4 * 0.95);
  });

  test.each([0, 1, WORDS * 2 + 1, WORDS * 4 - 1])('one changed byte at %i counts as one', (offset) => {
    const words = contentOf();
    const bytes = bytesOf(words);
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    expect(wrongBytesOf(words)).toBe(1);
  });

  test('shifted by a word is wrong', () => {
    const words = contentOf();
    words.copyWithin(1, 0);
    expect(wrongBytesOf(words)).toBeGreaterThan(WORDS * 4 * 0.95);
  });
});
