import { Code } from '@connectrpc/connect';
import { expect } from '../expectation.ts';
import { type ItemGroup, LOST } from '../item-suite.ts';
import { expectRefusal, hashesOf, SEGMENT_BYTES } from '../rank.ts';

/** C20: HTTP. */
export const httpPort: ItemGroup = (suite) => {
  suite.httpTest('C20 /health says ok', async () => {
    expect(await suite.http('GET', '/health')).toEqual({ status: 200, text: 'ok' });
  });

  suite.memoryTest('C20 /instances lists instances and cleanup forgets one', async ({ rank }) => {
    const { instanceId } = rank;
    await rank.register();
    expect(JSON.parse((await suite.http('GET', '/instances')).text).instances).toContain(instanceId);
    const cleanup = await suite.http('POST', `/instances/cleanup?id=${instanceId}`);
    expect({ ...cleanup, text: JSON.parse(cleanup.text) }).toEqual({
      status: 200,
      text: { removed_instances: [instanceId], removed_tensors: 2 },
    });
    expect(await suite.http('POST', `/instances/cleanup?id=${instanceId}`)).toEqual({
      status: 404,
      text: `instance ${instanceId} not found`,
    });
    await expectRefusal(rank.save([], []), Code.FailedPrecondition, LOST);
  });

  suite.controlTest('C20 cleanup without an id forgets all', async ({ rank, target: own }) => {
    await rank.register();
    const { text } = await suite.http('POST', '/instances/cleanup', own.httpEndpoint);
    expect(JSON.parse(text)).toEqual({ removed_instances: [rank.instanceId], removed_tensors: 2 });
  });

  suite.controlTest(
    'C20 memory cleanup evicts every block, and a leased one can still be loaded and keeps the memory of its Save',
    async ({ rank, target: own }) => {
      await rank.register();
      rank.fill(0, 3);
      await rank.save([0, 1], hashesOf(2));
      await rank.save([2], hashesOf(3).slice(2));
      await rank.visible(hashesOf(3)).then(({ lease }) => rank.client.release({ lease }));
      const { lease } = await rank.query(hashesOf(1));
      const blockBytes = 2 * 2 * SEGMENT_BYTES;
      expect(JSON.parse((await suite.http('POST', '/cache/memory/cleanup', own.httpEndpoint)).text)).toEqual({
        evicted_blocks: 3,
        evicted_bytes: 3 * blockBytes,
        reclaimed_bytes: blockBytes,
        still_referenced_blocks: 1,
      });
      expect((await rank.query(hashesOf(2))).numHitBlocks).toBe(0n);
      expect(await (await rank.load(lease, [5])).end()).toBe(1);
      expect(rank.holds(5, 3)).toBe(true);
    },
  );
};
