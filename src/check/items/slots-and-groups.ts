import { Code } from '@connectrpc/connect';
import { expect } from '../expectation.ts';
import type { ItemGroup } from '../item-suite.ts';
import { expectRefusal, hashesOf, hashOf, NUM_BLOCKS, uniqueId } from '../rank.ts';

/** C14 and C15: slots and groups. */
export const slotsAndGroups: ItemGroup = (suite) => {
  suite.savingTest(
    'C14 a block is visible when every layer of every rank is there, also across a registration',
    async ({ rank, driver }) => {
      const { instanceId, options } = rank;
      const second = suite.rankOf(driver, { ...options, instanceId, tpRank: 1, deviceId: 1 });
      for (const each of [rank, second]) await each.register();
      await rank.save([0], hashesOf(1), ['layer.0']);
      await rank.save([0], hashesOf(1), ['layer.1']);
      await second.save([0], hashesOf(1), ['layer.0']);
      await rank.save([0], [hashOf('sentinel')]);
      await second.save([0], [hashOf('sentinel')]);
      await rank.visible([hashOf('sentinel')]);
      expect((await rank.query(hashesOf(1))).numHitBlocks).toBe(0n);
      await rank.client.unregisterContext({ instanceId });
      for (const each of [rank, second]) await each.register();
      await second.save([0], hashesOf(1), ['layer.1']);
      await rank.visible(hashesOf(1));
    },
    { tpSize: 2, worldSize: 2 },
  );

  suite.savingTest('C14 the first save of a slot stays', async ({ rank }) => {
    await rank.register();
    rank.fill(0, 1);
    await rank.save([0], hashesOf(1));
    await rank.visible(hashesOf(1));
    rank.fill(0, 2);
    await rank.save([0], hashesOf(1));
    const { lease } = await rank.query(hashesOf(1));
    expect(await (await rank.load(lease, [3])).end()).toBe(1);
    expect(rank.holds(3, 1)).toBe(true);
  });

  suite.savingTest('C14 another namespace is another cache', async ({ rank, driver }) => {
    const stranger = suite.rankOf(driver);
    const friend = suite.rankOf(driver, { namespace: rank.namespace });
    for (const each of [rank, stranger, friend]) await each.register();
    await rank.save([0], hashesOf(1));
    await rank.visible(hashesOf(1));
    expect((await stranger.query(hashesOf(1))).numHitBlocks).toBe(0n);
    expect((await friend.query(hashesOf(1))).numHitBlocks).toBe(1n);
  });

  suite.memoryTest('C14 saves that do not fit the registration are refused', async ({ rank }) => {
    await rank.register();
    const { instanceId } = rank;
    const save = (layerName: string, blockIds: number[], blockHashes: Uint8Array[]) =>
      rank.client.save({ instanceId, saves: [{ layerName, blockIds, blockHashes }] });
    const length = 'block_ids length 1 does not match block_hashes 2 for layer layer.0';
    await expectRefusal(save('layer.0', [0], hashesOf(2)), Code.InvalidArgument, length);
    const unknown = /layer layer\.7 is not registered$/;
    await expectRefusal(save('layer.7', [0], hashesOf(1)), Code.InvalidArgument, unknown);
    const range = /block_id 8 out of range \(num_blocks=8\) for layer layer\.0$/;
    await expectRefusal(save('layer.0', [NUM_BLOCKS], hashesOf(1)), Code.InvalidArgument, range);
    await expectRefusal(rank.client.save({ instanceId, deviceId: -1 }), Code.InvalidArgument, /must be >= 0$/);
    const elsewhere = `device 4 not found in instance ${instanceId}`;
    await expectRefusal(rank.client.save({ instanceId, deviceId: 4 }), Code.FailedPrecondition, elsewhere);
    const mixUp = /device_id 0 is registered for tp_rank 0, pp_rank 0, but save requested tp_rank 0, pp_rank 1$/;
    await expectRefusal(rank.client.save({ instanceId, ppRank: 1 }), Code.InvalidArgument, mixUp);
  });

  suite.savingTest(
    'C15 a group above 0 is asked by membership and has its own blocks',
    async ({ rank }) => {
      const hashes = hashesOf(4);
      await rank.register();
      rank.fill(2, 7);
      await rank.save([0, 2], [hashes[1]!, hashes[3]!], ['layer.1']);
      await rank.visible([hashes[1]!, hashes[3]!], 1);
      const ready = await rank.query(hashes, { groupId: 1 });
      expect(ready).toMatchObject({ numHitBlocks: 2n, hitPositions: [1, 3] });
      expect((await rank.query([hashes[1]!])).numHitBlocks).toBe(0n);
      const load = await rank.load(ready.lease, [null, 6], { layerNames: ['layer.1'] });
      expect([await load.end(), rank.holds(6, 7, ['layer.1'])]).toEqual([1, true]);
      const mixed = await rank.load(ready.lease, [0, 1]);
      await mixed.expectRefused(Code.InvalidArgument, /load group mixes storage groups 0 and 1 \(layer layer\.1\)$/);
    },
    { layerGroupIds: [0, 1] },
  );

  suite.savingTest(
    'C15 all or nothing counts what is there before the first gap, and gives no lease when something is missing',
    async ({ rank }) => {
      const hashes = hashesOf(3);
      await rank.register();
      await rank.save([0, 2], [hashes[0]!, hashes[2]!], ['layer.1']);
      await rank.visible([hashes[0]!, hashes[2]!], 1);
      const { outcome } = await rank.client.queryPrefetch({
        instanceId: rank.instanceId,
        blockHashes: hashes,
        reqId: uniqueId(),
        groupId: 1,
        waitForFullPrefix: true,
      });
      expect(outcome).toMatchObject({
        case: 'ready',
        value: { numHitBlocks: 1n, hitPositions: [0], lease: new Uint8Array(0) },
      });
    },
    { layerGroupIds: [0, 1] },
  );

  suite.savingTest(
    'C15 a block of group g is stored under its hash and g in four big-endian bytes',
    async ({ rank, driver }) => {
      const plain = suite.rankOf(driver, { namespace: rank.namespace, layerNames: ['layer.1'] });
      await rank.register();
      await plain.register();
      await rank.save([0], hashesOf(1), ['layer.1']);
      await rank.visible(hashesOf(1), 1);
      const key = Buffer.concat([hashesOf(1)[0]!, Buffer.from([0, 0, 0, 1])]);
      expect((await plain.query([key])).numHitBlocks).toBe(1n);
    },
    { layerGroupIds: [0, 1] },
  );

  suite.savingTest(
    'C15 page-first keeps one page a block and wants all layers at once',
    async ({ rank }) => {
      await rank.register();
      rank.fill(0, 5);
      const words = /page-first save must cover all 2 layers of shard 0, got 1 distinct/;
      await expectRefusal(rank.save([0], hashesOf(1), ['layer.0']), Code.InvalidArgument, words);
      await rank.save([0], hashesOf(1));
      const { lease } = await rank.visible(hashesOf(1));
      expect(await (await rank.load(lease, [4])).end()).toBe(1);
      expect(rank.holds(4, 5)).toBe(true);
    },
    { pageFirst: true, segments: 1 },
  );
};
