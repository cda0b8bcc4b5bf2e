import { createHash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import { budgetsFrom } from '../../../machines/index.ts';
import type { KvCacheLayer } from '../../../src/connector/kv-caches.ts';
import { Saves } from '../../../src/connector/transfers/saves.ts';
import type { TransferOutcome } from '../../../src/connector/transfers/transfer.ts';
import { SaveRequestSchema } from '../../../src/gen/pegaflow/engine_pb.ts';
import { Connection } from '../../../src/rpc/connection.ts';
import { computedAtATimeMs } from '../../support/computed-at-a-time.ts';
import { own } from '../../support/own.ts';
import { SaveSink, type SaveSinkOptions } from '../../support/save-sink.ts';
import { within } from '../../support/within.ts';

const RANK = { instanceId: 'replica', tpRank: 1, ppRank: 2, deviceId: 3 };

function layersNamed(count: number): readonly KvCacheLayer[] {
  return Array.from({ length: count }, (_, index) => ({ name: `0123456789abc.1/model.layers.${index}` }) as never);
}

function hashes(count: number): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: count }, (_, index) => {
    return Uint8Array.from(createHash('sha256').update(String(index)).digest());
  });
}

async function connected(options: SaveSinkOptions) {
  const sink = own(await SaveSink.start(options));
  const connection = own(new Connection({ endpoint: sink.endpoint, budgets: budgetsFrom() }));
  const up = Promise.withResolvers<void>();
  connection.open({ up: up.resolve, draining: () => {}, down: () => {} });
  await within(10_000, 'the link', up.promise);
  const saves = new Saves(budgetsFrom());
  const save = (layers: readonly KvCacheLayer[], blockIds: number[], blockHashes: Uint8Array[]) =>
    new Promise<TransferOutcome>((ended) => {
      const intent = { requestId: 'r', groupId: 0, blockIds, blockHashes, epoch: null } as never;
      const events = {
        ended,
        refused: () => {},
        refuted: () => {},
        inDoubt: () => {},
        begun: () => {},
        doubted: () => {},
        overtook: () => {},
        releasedUnsafely: () => {},
        refusedAfterRelease: () => {},
      };
      saves.start(connection.server, { ...RANK, layers }, intent, events);
    });
  return { sink, save };
}

/** What one message of gRPC holds. */
function enveloped(
  layers: readonly KvCacheLayer[],
  blockIds: number[],
  blockHashes: Uint8Array<ArrayBuffer>[],
): Buffer {
  const saves = layers.map(({ name: layerName }) => ({ layerName, blockIds, blockHashes }));
  const message = toBinary(SaveRequestSchema, create(SaveRequestSchema, { ...RANK, saves }));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

it('one save of 20,000 blocks in 61 layers stops the event loop for less than 50 ms', async () => {
  const { sink, save } = await connected({ windowBytes: 1 << 20 });
  const layers = layersNamed(61);
  const blockHashes = hashes(20_000);
  const blockIds = blockHashes.map((_, id) => id);
  // What is compiled and loaded at the first call of all.
  const first = sink.read();
  await save(layersNamed(1), [0], hashes(1));
  await first;
  const read = sink.read();
  const longestMs = computedAtATimeMs();
  const ended = save(layers, blockIds, blockHashes);
  expect(await within(60_000, 'the end of the save', ended)).toEqual({ kind: 'succeeded', by: 'answer' });
  // In one go it takes ten times as long.
  expect(longestMs()).toBeLessThan(150);
  const { sizeBytes } = await read;
  expect(sizeBytes).toBeGreaterThan(40_000_000);
}, 90_000);

it.each([
  ['nothing', 0, 0],
  ['one block', 1, 1],
  ['what fits into a window', 200, 3],
  ['what a small window lets through bit by bit', 3_000, 7],
])('the server reads the bytes that a save of %s always had', async (_, blocks, layerCount) => {
  const { sink, save } = await connected({ windowBytes: 65_535 });
  const layers = layersNamed(layerCount);
  const blockHashes = hashes(blocks);
  const blockIds = blockHashes.map((_, id) => id * 77);
  const read = sink.read();
  expect(await save(layers, blockIds, blockHashes)).toEqual({ kind: 'succeeded', by: 'answer' });
  const bytes = enveloped(layers, blockIds, blockHashes);
  expect(await read).toEqual({ sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
});

it('a save of more than 64 MiB is refused here, with nothing under way at the server', async () => {
  const { save } = await connected({ windowBytes: 65_535 });
  const blockHashes = hashes(20_000);
  const outcome = await save(
    layersNamed(100),
    blockHashes.map((_, id) => id),
    blockHashes,
  );
  expect(outcome).toMatchObject({ kind: 'failed', by: 'answer', fault: { kind: 'rejected' } });
});
