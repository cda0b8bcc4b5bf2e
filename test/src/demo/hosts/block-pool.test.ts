import { describe, expect, test } from 'vitest';
import { BlockPool } from '../../../../src/demo/hosts/block-pool.ts';

describe('the block pool', () => {
  test('hands out each block once and all or none of what is asked for', () => {
    const pool = new BlockPool(4);
    const taken = [...(pool.take(3) ?? []), ...(pool.take(1) ?? [])];
    expect(taken.toSorted()).toEqual([0, 1, 2, 3]);
    expect(pool.take(1)).toBeNull();
    expect(pool.take(0)).toEqual([]);
  });

  test('takes back and tells the first who waits, as soon as there is enough for it', async () => {
    const pool = new BlockPool(4);
    const taken = pool.take(4) ?? [];
    const told: string[] = [];
    const first = pool.whenFree(3).then(() => told.push('first'));
    const second = pool.whenFree(1).then(() => told.push('second'));
    pool.give(taken.slice(0, 2));
    await Promise.resolve();
    expect(told).toEqual([]);
    pool.give(taken.slice(2));
    await Promise.all([first, second]);
    expect(told).toEqual(['first', 'second']);
  });
});
