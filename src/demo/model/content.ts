/**
 * What the demo's blocks hold: bytes that follow from what the block is, so that a worker can tell every byte of a
 * loaded block, and a block of another prompt, rank, layer, half or namespace cannot pass for it.
 */
import { createHash } from 'node:crypto';

/** Names one segment of one block. */
export interface SegmentIdentity {
  readonly namespace: string;
  readonly blockHash: Uint8Array;
  /** The effective rank: MLA ranks hold the same bytes. */
  readonly effectiveTpRank: number;
  readonly layerName: string;
  /** 0 for K (or the only segment), 1 for V. */
  readonly segment: number;
}

/** 128 bits that start the four interleaved word streams of a segment. */
export type ContentSeed = Uint32Array;

/** What a block is filled with before a load, so that bytes which were not written cannot pass. */
export const POISON_BYTE = 0xdb;

const LANES = 4;

export function contentSeed(identity: SegmentIdentity): ContentSeed {
  const digest = createHash('sha256')
    .update(`${identity.namespace}\0${identity.effectiveTpRank}\0${identity.layerName}\0${identity.segment}\0`)
    .update(identity.blockHash)
    .digest();
  return Uint32Array.from({ length: LANES }, (_, lane) => digest.readUInt32LE(lane * 4) || lane + 1);
}

/**
 * Fills `words`, a multiple of four, with the content of a seed: four xorshift32 streams (Marsaglia 2003), one word of
 * each in turn.
 */
export function fillContent(words: Uint32Array, seed: ContentSeed): void {
  let [a = 1, b = 1, c = 1, d = 1] = seed;
  for (let index = 0; index < words.length; index += LANES) {
    a ^= a << 13;
    a ^= a >>> 17;
    a ^= a << 5;
    b ^= b << 13;
    b ^= b >>> 17;
    b ^= b << 5;
    c ^= c << 13;
    c ^= c >>> 17;
    c ^= c << 5;
    d ^= d << 13;
    d ^= d >>> 17;
    d ^= d << 5;
    words[index] = a;
    words[index + 1] = b;
    words[index + 2] = c;
    words[index + 3] = d;
  }
}

/** How many bytes of `words` differ from the content of a seed. `expected` is scratch of the same length. */
export function countWrongBytes(words: Uint32Array, seed: ContentSeed, expected: Uint32Array): number {
  fillContent(expected, seed);
  const actualBytes = bytesOf(words);
  const expectedBytes = bytesOf(expected);
  if (Buffer.compare(actualBytes, expectedBytes) === 0) return 0;
  return actualBytes.reduce((wrong, byte, index) => (byte === expectedBytes[index] ? wrong : wrong + 1), 0);
}

/** The same memory as bytes. */
export function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
