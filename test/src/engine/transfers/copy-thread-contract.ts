import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { createEmulatedDriver } from '../../../../native-bindings/emulated-device.ts';
import type { FaultPatch } from '../../../../src/engine/faults.ts';
import {
  expectRefusal,
  hashesOf,
  hashOf,
  type RankOptions,
  TestConnection,
  TestRank,
  TestSession,
  uniqueId,
} from '../../../support/engine-rank.ts';
import { own } from '../../../support/own.ts';
import type { ServerProcess } from '../../../support/server-process.ts';
import { threadNamesOf } from '../../../support/task-list.ts';
import { eventually, within } from '../../../support/within.ts';

const PAIR = ['gpu0-load', 'gpu0-save'];

/** Long enough for the calls that a test makes while one block is copied. */
const SLOW_COPY = { copyDelayMs: 2000, copyAfterCloseMs: 30_000 };

/** What a server's task list says of its registrations, for a server that `start` gives a test. */
export function describeCopyThreads(
  name: string,
  start: (faults?: FaultPatch) => Promise<ServerProcess>,
  ofEveryRank: RankOptions = {},
): void {
  const rankAt = ({ grpcAddress }: ServerProcess, options: RankOptions = {}) => {
    const { client } = own(new TestConnection(`http://${grpcAddress}`));
    return own(new TestRank(client, createEmulatedDriver(), { ...ofEveryRank, ...options }));
  };

  const copyThreadsOf = (server: ServerProcess): string[] =>
    threadNamesOf(server.pid)
      .filter((thread) => thread.startsWith('gpu'))
      .toSorted();

  const untilCopyThreads = (server: ServerProcess, names: readonly string[]) =>
    eventually(`the copy threads [${names}]`, () => (`${copyThreadsOf(server)}` === `${names}` ? true : null));

  const unregister = ({ client, instanceId }: TestRank) => client.unregisterContext({ instanceId });

  describe(`the task list of ${name}`, () => {
    test('shows the threads of a registration when it is answered, and they end when it is unregistered', async () => {
      const server = await start();
      const [rank, twin, other] = [rankAt(server), rankAt(server), rankAt(server, { deviceId: 3 })];
      expect(copyThreadsOf(server)).toEqual([]);
      await rank.register();
      expect(copyThreadsOf(server)).toEqual(PAIR);
      await twin.register();
      await other.register();
      const twins = ['gpu0-load', 'gpu0-load', 'gpu0-save', 'gpu0-save'];
      expect(copyThreadsOf(server)).toEqual([...twins, 'gpu3-load', 'gpu3-save']);
      await unregister(rank);
      await untilCopyThreads(server, [...PAIR, 'gpu3-load', 'gpu3-save']);
      await unregister(twin);
      await untilCopyThreads(server, ['gpu3-load', 'gpu3-save']);
      await unregister(other);
      await untilCopyThreads(server, []);
    });

    test('keeps both threads while a block is saved whose registration went, as the handler holds it', async () => {
      const server = await start(SLOW_COPY);
      const rank = rankAt(server);
      await rank.register();
      const save = rank.save([0], hashesOf(1));
      // Sent behind the save, answered when that is queued.
      await rank.query([hashOf('none')]);
      await unregister(rank);
      expect(copyThreadsOf(server)).toEqual(PAIR);
      await within(20_000, 'the save', save);
      await untilCopyThreads(server, []);
    });

    test('keeps the thread of loads while a block is loaded whose registration went', async () => {
      const server = await start();
      const rank = rankAt(server);
      await rank.register();
      await rank.save([0], hashesOf(1));
      const { lease } = await rank.visible(hashesOf(1));
      await server.fault(SLOW_COPY);
      const load = await rank.load(lease, [1]);
      await unregister(rank);
      expect(copyThreadsOf(server)).toContain('gpu0-load');
      await untilCopyThreads(server, ['gpu0-load']);
      expect(await load.end()).toBe(1);
      await untilCopyThreads(server, []);
    });

    test('loses the threads with the session, and with both kinds of cleanup over HTTP', async () => {
      const server = await start();
      const rank = rankAt(server);
      await rank.register();
      const session = await TestSession.open(rank.client, rank.instanceId);
      session.end();
      await untilCopyThreads(server, []);
      for (const path of [`/instances/cleanup?id=${rank.instanceId}`, '/instances/cleanup']) {
        await rank.register();
        expect(copyThreadsOf(server)).toEqual(PAIR);
        await server.http('POST', path);
        await untilCopyThreads(server, []);
      }
    });

    test('shows nothing more after refused registrations', async () => {
      const server = await start();
      const sharded = { instanceId: uniqueId(), tpSize: 2, worldSize: 2 };
      const rank = rankAt(server, sharded);
      await rank.register();
      const stranger = rankAt(server, { ...sharded, tpRank: 1, deviceId: 1, layerNames: ['layer.0', 'other'] });
      await expectRefusal(stranger.register(), Code.InvalidArgument, /incomplete KV registration/);
      await untilCopyThreads(server, PAIR);
      await expectRefusal(rank.register(), Code.Internal, /already registered/);
      const refused = { code: Code.Internal, message: 'register tensor failed: no memory' };
      await server.fault({ methods: { registerContextBatch: { refuse: refused, times: 1 } } });
      await expectRefusal(rankAt(server, { deviceId: 2 }).register(), Code.Internal, refused.message);
      expect(copyThreadsOf(server)).toEqual(PAIR);
    });
  });
}
