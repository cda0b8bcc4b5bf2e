import { Code } from '@connectrpc/connect';
import { eventually } from '../eventually.ts';
import { expect } from '../expectation.ts';
import { type ItemGroup, LOST, UNKNOWN_LEASE } from '../item-suite.ts';
import { expectRefusal, hashesOf, ServerSession } from '../rank.ts';

/** C12 and C13: the end of an instance. */
export const endings: ItemGroup = (suite) => {
  suite.savingTest('C12 the end of a session drops instance and leases and keeps blocks', async ({ rank, driver }) => {
    const hashes = hashesOf(2);
    const session = await ServerSession.open(suite.open().client, rank.instanceId);
    await rank.register();
    await rank.save([0, 1], hashes);
    const { lease } = await rank.visible(hashes);
    session.end();
    await eventually('the cleanup', () =>
      rank.save([], []).then(
        () => null,
        () => true,
      ),
    );
    await expectRefusal(rank.query(hashes), Code.FailedPrecondition, LOST);
    await expectRefusal(rank.save([], []), Code.FailedPrecondition, LOST);
    await (await rank.load(lease, [0, 1])).expectRefused(Code.FailedPrecondition, LOST);
    const successor = suite.rankOf(driver, { instanceId: rank.instanceId, namespace: rank.namespace });
    await successor.register();
    await (await successor.load(lease, [0, 1])).expectRefused(Code.Internal, UNKNOWN_LEASE);
    expect((await successor.query(hashes)).numHitBlocks).toBe(2n);
  });

  suite.controlTest(
    'C12 a newer session keeps the registration when the older one ends',
    async ({ rank, target: own, control }) => {
      const oldConnection = suite.open(own.endpoint);
      await ServerSession.open(oldConnection.client, rank.instanceId);
      await rank.register();
      const successor = await ServerSession.open(rank.client, rank.instanceId);
      oldConnection[Symbol.dispose]();
      await control.logged('token=1 superseded — skip cleanup');
      await expectRefusal(rank.register(), Code.Internal, /already registered$/);
      await rank.save([], []);
      successor.end();
      await eventually('the cleanup', () =>
        rank.save([], []).then(
          () => null,
          () => true,
        ),
      );
    },
  );

  suite.wireTest('C12 a session needs an instance id', async () => {
    await expectRefusal(ServerSession.open(suite.client, ''), Code.InvalidArgument, 'instance_id must not be empty');
  });

  suite.savingTest(
    'C13 unregistering drops all ranks and keeps blocks, and registering works again',
    async ({ rank, driver }) => {
      const { instanceId, options } = rank;
      const second = suite.rankOf(driver, { ...options, instanceId, tpRank: 1, deviceId: 1 });
      const ranks = [rank, second];
      for (const each of ranks) await each.register();
      for (const each of ranks) await each.save([0], hashesOf(1));
      await rank.visible(hashesOf(1));
      await rank.client.unregisterContext({ instanceId });
      await expectRefusal(second.save([], []), Code.FailedPrecondition, LOST);
      await expectRefusal(rank.client.unregisterContext({ instanceId }), Code.FailedPrecondition, LOST);
      for (const each of ranks) await each.register();
      expect((await rank.query(hashesOf(1))).numHitBlocks).toBe(1n);
    },
    { tpSize: 2, worldSize: 2 },
  );
};
