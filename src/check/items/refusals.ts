import { Code } from '@connectrpc/connect';
import { LoadState } from '../../../native-bindings/index.ts';
import { expect } from '../expectation.ts';
import { type ItemGroup, PROBE_GROUP } from '../item-suite.ts';
import { expectRefusal, hashesOf, uniqueId } from '../rank.ts';

/** C06 to C08: refusals by what is registered. */
export const refusals: ItemGroup = (suite) => {
  suite.wireTest('C06 an empty req_id is refused before the instance is looked for', async () => {
    const query = suite.client.queryPrefetch({ instanceId: uniqueId(), reqId: '' });
    await expectRefusal(query, Code.InvalidArgument, 'req_id must not be empty');
  });

  suite.recordTest(
    'C07 an unknown instance is FAILED_PRECONDITION "not found" for query, save, load and unregister',
    async () => {
      const { client } = suite;
      const instanceId = uniqueId();
      const notFound = `instance ${instanceId} not found`;
      await expectRefusal(client.queryPrefetch({ instanceId, reqId: 'r' }), Code.FailedPrecondition, notFound);
      await expectRefusal(client.save({ instanceId }), Code.FailedPrecondition, notFound);
      await expectRefusal(client.unregisterContext({ instanceId }), Code.FailedPrecondition, notFound);
      const state = suite.keep(LoadState.create());
      await expectRefusal(client.load({ instanceId, loadStateShm: state.name }), Code.FailedPrecondition, notFound);
      expect(state.state()).toBe(-1);
    },
  );

  suite.memoryTest(
    'C08 while ranks are missing, save, load and the group probe say how many; a prefix query works',
    async ({ rank, driver }) => {
      await rank.register();
      const incomplete = /registration incomplete: 1\/2 workers registered$/;
      const { instanceId } = rank;
      await expectRefusal(rank.save([0], hashesOf(1)), Code.InvalidArgument, incomplete);
      const load = await rank.load(new Uint8Array(16), [0]);
      await load.expectRefused(Code.InvalidArgument, incomplete);
      expect((await rank.query(hashesOf(2))).numHitBlocks).toBe(0n);
      const probe = () => rank.client.queryPrefetch({ instanceId, reqId: 'probe', groupId: PROBE_GROUP });
      await expectRefusal(probe(), Code.InvalidArgument, incomplete);
      const second = suite.rankOf(driver, { instanceId, tpRank: 1, tpSize: 2, worldSize: 2, deviceId: 1 });
      await second.register();
      await expectRefusal(probe(), Code.InvalidArgument, /storage group 4294967295 out of range \(1 groups\)$/);
      await second.save([], []);
    },
    { tpSize: 2, worldSize: 2 },
  );
};
