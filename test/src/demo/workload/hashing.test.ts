import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { chainHashes } from '../../../../src/demo/workload/hashing.ts';

const hex = (hashes: readonly Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('hex'));

describe('chained block hashes', () => {
  test('equal prefixes have equal hashes up to where they part', () => {
    const [a, b] = [hex(chainHashes([1, 2, 3, 4, 5, 6], 2)), hex(chainHashes([1, 2, 3, 9, 5, 6], 2))];
    expect(b[0]).toBe(a[0]);
    expect(b[1]).not.toBe(a[1]);
    expect(b[2]).not.toBe(a[2]);
  });

  test('a block that is not full has no hash', () => {
    expect(chainHashes([1, 2, 3], 2)).toHaveLength(1);
    expect(chainHashes([1], 2)).toEqual([]);
  });

  test('a hash covers its parent and its own ids', () => {
    const first = createHash('sha256').update(Buffer.alloc(32)).update(Buffer.from('0100000002000000', 'hex')).digest();
    const second = createHash('sha256').update(first).update(Buffer.from('03000000ffffffff', 'hex')).digest();
    expect(hex(chainHashes([1, 2, 3, 0xffffffff], 2))).toEqual([first.toString('hex'), second.toString('hex')]);
  });
});
