import { Code } from '@connectrpc/connect';
import { expect } from '../expectation.ts';
import type { ItemGroup } from '../item-suite.ts';
import { expectRefusal } from '../rank.ts';

/** The RPCs between servers, on a server without RDMA. */
export const transfersBetweenServers: ItemGroup = (suite) => {
  suite.wireTest('transfers are refused, and an unknown transfer lock releases nothing', async () => {
    const { client } = suite;
    const words = 'RDMA transfer engine is not configured';
    await expectRefusal(client.queryBlocksForTransfer({}), Code.FailedPrecondition, words);
    await expectRefusal(client.rdmaHandshake({}), Code.FailedPrecondition, words);
    expect(await client.releaseTransferLock({ transferSessionId: 'x' })).toMatchObject({
      status: { ok: true },
      releasedBlocks: 0n,
    });
  });
};
