import { expect } from '../expectation.ts';
import type { ItemGroup } from '../item-suite.ts';
import { hashesOf } from '../rank.ts';

/** C01 to C05: what was saved is found and loaded. */
export const roundTrips: ItemGroup = (suite) => {
  suite.savingTest('C01 a round trip gives the same bytes back in other blocks', async ({ rank }) => {
    const hashes = hashesOf(3);
    await rank.register();
    for (const i of [0, 1, 2]) rank.fill(i, i + 1);
    await rank.save([0, 1, 2], hashes);
    const { lease, numHitBlocks } = await rank.visible(hashes);
    expect({ numHitBlocks, leaseBytes: lease.length }).toEqual({ numHitBlocks: 3n, leaseBytes: 16 });
    for (const i of [5, 6, 7]) rank.fill(i, 99);
    const load = await rank.load(lease, [7, null, 0]);
    expect(load.refusal).toBeNull();
    expect(await load.end()).toBe(1);
    expect([rank.holds(7, 1), rank.holds(6, 99), rank.holds(5, 99), rank.holds(0, 3)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  suite.savingTest(
    'C01 layers of one allocation are told apart by their storage offsets',
    async ({ rank }) => {
      await rank.register();
      rank.fill(1, 5);
      rank.fill(2, 6);
      await rank.save([1, 2], hashesOf(2));
      const { lease } = await rank.visible(hashesOf(2));
      const load = await rank.load(lease, [4, 7]);
      expect([await load.end(), rank.holds(4, 5), rank.holds(7, 6), rank.holds(1, 5)]).toEqual([1, true, true, true]);
    },
    { isOneAllocation: true },
  );

  suite.memoryTest('C02 a cold cache is a miss without a lease', async ({ rank }) => {
    await rank.register();
    expect(await rank.query(hashesOf(4))).toMatchObject({ numHitBlocks: 0n, lease: new Uint8Array(0) });
  });

  suite.savingTest('C03 a prefix query hits as far as the prefix is there', async ({ rank }) => {
    const hashes = hashesOf(4);
    await rank.register();
    rank.fill(1, 1);
    await rank.save([0, 1], hashes.slice(0, 2));
    await rank.visible(hashes.slice(0, 2));
    const { numHitBlocks, lease } = await rank.query(hashes);
    expect(numHitBlocks).toBe(2n);
    const load = await rank.load(lease, [4, 5]);
    expect([await load.end(), rank.holds(5, 1)]).toEqual([1, true]);
  });

  suite.savingTest('C04 the first gap ends a prefix', async ({ rank }) => {
    const hashes = hashesOf(4);
    await rank.register();
    await rank.save([0, 2, 3], [hashes[0]!, hashes[2]!, hashes[3]!]);
    await rank.visible([hashes[3]!]);
    expect((await rank.query(hashes)).numHitBlocks).toBe(1n);
    expect((await rank.query(hashes.slice(1))).numHitBlocks).toBe(0n);
  });

  suite.memoryTest('C05 an empty query is valid and empty', async ({ rank }) => {
    await rank.register();
    expect(await rank.query([])).toMatchObject({ numHitBlocks: 0n, lease: new Uint8Array(0) });
  });
};
