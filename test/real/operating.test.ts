/** What docs/operating.md tells operators, at the published server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { expectRefusal, hashesOf, hashOf, type RankOptions, TestConnection, TestRank } from '../support/engine-rank.ts';
import { atEnd, own } from '../support/own.ts';
import { RealServer, type RealServerOptions } from '../support/real-server.ts';
import { connected, inServiceAfter } from '../support/story.ts';
import { eventually, within } from '../support/within.ts';
import { newestPublished as version } from './published-wheels.ts';

/** Two layers of two segments of 512 bytes. */
const BLOCK_BYTES = 2 * 2 * 512;
const EXHAUSTED = /^storage error: pinned pool exhausted/;

async function registered(options: Omit<RealServerOptions, 'version'>, layout: Partial<RankOptions> = {}) {
  const server = own(await RealServer.start({ version, ...options }));
  const { client } = own(new TestConnection(`http://${server.grpcAddress}`));
  const rank = own(new TestRank(client, createEmulatedDriver(), { clientVersion: version, ...layout }));
  await rank.register();
  return { server, client, rank };
}

describe(`what an operator of pegaflow-server ${version} has to know`, { timeout: 60_000 }, () => {
  it('a lease on one block keeps the memory of all that were saved with it', async () => {
    const { client, rank } = await registered({ poolSizeBytes: 8 * BLOCK_BYTES });
    const hashes = hashesOf(8);
    await rank.save([0, 1, 2, 3, 4, 5, 6, 7], hashes);
    await rank.visible(hashes).then(({ lease }) => client.release({ lease }));
    const { lease } = await rank.query(hashes.slice(0, 1));
    await expectRefusal(rank.save([0], [hashOf('one more')]), Code.Internal, EXHAUSTED);
    // All the others were evicted on the way, and gave nothing back.
    expect((await rank.query(hashes.slice(1, 2))).numHitBlocks).toBe(0n);
    await client.release({ lease });
    await rank.save([0], [hashOf('one more')]);
  });

  it.each([
    ['refused although half of the pool is free', [], true],
    ['taken with --blockwise-alloc', ['--blockwise-alloc'], false],
  ] as const)('a large save between small blocks under leases is %s', async (_, flags, isRefused) => {
    // A block is one piece of memory: the smallest that the server gives.
    const { server, rank } = await registered({ poolSizeBytes: 16 * 512, flags }, { layerNames: ['one'], segments: 1 });
    const hashes = hashesOf(16);
    for (const [block, hash] of hashes.entries()) {
      await rank.save([block % 8], [hash]);
      if (block % 2 === 0) await rank.visible([hash]);
    }
    await server.http('POST', '/cache/memory/cleanup');
    const large = rank.save([0, 1], hashesOf(2, 'large'));
    if (isRefused) await expectRefusal(large, Code.Internal, EXHAUSTED);
    else await large;
  });

  it('a query while the server drains is a miss at once, and the server can exit', async () => {
    const { server } = await registered({});
    const instance = await connected(`http://${server.grpcAddress}`);
    const hashes = hashesOf(2);
    await instance.save('saves', [0, 1], hashes);
    await instance.hit('sees', hashes);
    const before = instance.scheduler.status.epoch!.counter;
    server.signal('SIGINT');
    await eventually('the drain to be heard', () => (instance.scheduler.isInService ? null : true));
    const asked = instance.scheduler.query({ requestId: 'asks', blockHashes: hashes });
    expect(await within(1_000, 'the query', asked)).toEqual({ kind: 'miss', reason: 'notConnected' });
    expect(await within(15_000, 'the exit', server.exited)).toBe(0);
    const { grpcAddress: addr, httpAddress: httpAddr } = server;
    own(await RealServer.start({ version, addr, httpAddr }));
    await inServiceAfter(instance, before);
  });

  it('a result waits under its request id, whatever is asked with it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pegaflow-ssd-'));
    atEnd(() => rmSync(folder, { recursive: true }));
    const flags = ['--ssd-cache-path', join(folder, 'cache'), '--ssd-cache-capacity', '16mb'];
    const { rank, client } = await registered({ flags });
    const hashes = hashesOf(4);
    await rank.save([0, 1, 2, 3], hashes);
    await rank.visible(hashes);
    const ask = (blockHashes: Uint8Array[]) =>
      client.queryPrefetch({
        instanceId: rank.instanceId,
        reqId: 'kept',
        blockHashes: blockHashes as Uint8Array<ArrayBuffer>[],
      });
    // One that is not in memory makes the server look elsewhere, and keep what it finds.
    expect((await ask([...hashes, hashOf('never saved')])).outcome.case).toBe('loading');
    const ready = await eventually('the result', async () => {
      const { outcome } = await ask(hashes.slice(0, 2));
      return outcome.case === 'ready' ? outcome.value : null;
    });
    expect(ready.numHitBlocks).toBe(4n);
  });
});
