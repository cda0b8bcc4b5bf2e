import { Code } from '@connectrpc/connect';
import { expect } from '../expectation.ts';
import { type ItemGroup, UNKNOWN_LEASE } from '../item-suite.ts';
import { expectRefusal, hashesOf } from '../rank.ts';

/** C09: leases. */
export const leases: ItemGroup = (suite) => {
  suite.savingTest(
    'C09 a lease lasts for one load a rank',
    async ({ rank, driver }) => {
      const second = suite.rankOf(driver, { ...rank.options, instanceId: rank.instanceId, tpRank: 1, deviceId: 1 });
      await rank.register();
      await second.register();
      await rank.save([0], hashesOf(1));
      await second.save([0], hashesOf(1));
      const { lease } = await rank.visible(hashesOf(1));
      expect(await (await rank.load(lease, [1])).end()).toBe(1);
      expect(await (await second.load(lease, [1])).end()).toBe(1);
      const third = await rank.load(lease, [1]);
      await third.expectRefused(Code.Internal, /^storage error: query lease is unknown or expired$/);
    },
    { tpSize: 2, worldSize: 2 },
  );

  suite.savingTest("C09 another instance's lease is refused and keeps its share", async ({ rank, driver }) => {
    const stranger = suite.rankOf(driver, { namespace: rank.namespace });
    await rank.register();
    await stranger.register();
    await rank.save([0], hashesOf(1));
    const { lease } = await rank.visible(hashesOf(1));
    const foreign = await stranger.load(lease, [1]);
    const words = `storage error: query lease belongs to instance ${rank.instanceId}, got ${stranger.instanceId}`;
    await foreign.expectRefused(Code.Internal, words);
    expect(await (await rank.load(lease, [1])).end()).toBe(1);
  });

  suite.savingTest('C09 a lease is released once', async ({ rank }) => {
    await rank.register();
    await rank.save([0], hashesOf(1));
    const { lease } = await rank.visible(hashesOf(1));
    await rank.client.release({ lease });
    await expectRefusal(rank.client.release({ lease }), Code.FailedPrecondition, UNKNOWN_LEASE);
  });

  suite.savingTest('C09 a count that does not match is refused and costs the share', async ({ rank }) => {
    await rank.register();
    await rank.save([0, 1], hashesOf(2));
    const { lease } = await rank.visible(hashesOf(2));
    const words = /query lease block count 2 does not match destination block count 1 for group 0$/;
    await (await rank.load(lease, [3])).expectRefused(Code.InvalidArgument, words);
    await (await rank.load(lease, [3, 4])).expectRefused(Code.Internal, UNKNOWN_LEASE);
  });

  suite.wireTest('C09 a lease id that is none is refused with its length', async () => {
    const release = (lease: Uint8Array) => suite.client.release({ lease });
    await expectRefusal(release(new Uint8Array(0)), Code.InvalidArgument, 'query lease id must be non-empty');
    const words = 'query lease id must be 16 bytes, got 3';
    await expectRefusal(release(new Uint8Array(3)), Code.InvalidArgument, words);
    await expectRefusal(release(new Uint8Array(16)), Code.FailedPrecondition, UNKNOWN_LEASE);
  });
};
