import { Code } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { expectRefusal } from '../../../support/engine-rank.ts';
import type { ConformanceItems } from './suite.ts';

/** The RPCs between servers, on a server without RDMA. */
export const transfersBetweenServers: ConformanceItems = (suite) => {
  test('transfers are refused, and an unknown transfer lock releases nothing', async () => {
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
