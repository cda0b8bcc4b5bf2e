import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SaveRequestSchema } from '../../../src/gen/pegaflow/engine_pb.ts';
import { slicedSave } from '../../../src/rpc/sliced-save.ts';

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const hash = fc.uint8Array({ maxLength: 200 });
const blocks = fc.record({ blockIds: fc.array(uint32), blockHashes: fc.array(hash) });
const layer = fc.record({ layerName: fc.string({ unit: 'grapheme' }), blocks });
const requests = fc.record({
  instanceId: fc.string(),
  tpRank: uint32,
  deviceId: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  ppRank: uint32,
  layers: fc.array(layer, { maxLength: 5 }),
  sharedBy: fc.nat({ max: 4 }),
});

describe('a save in slices', () => {
  it('is the same bytes as in one piece, whatever its layers share', () => {
    fc.assert(
      fc.property(requests, ({ layers, sharedBy, ...rest }) => {
        const saves = layers.map(({ layerName, blocks: own }, index) => {
          return { layerName, ...(index < sharedBy ? layers[0]!.blocks : own) };
        });
        const message = create(SaveRequestSchema, { ...rest, saves } as never);
        // What a connector makes shares the very lists.
        for (const save of message.saves.slice(1, sharedBy)) {
          save.blockIds = message.saves[0]!.blockIds;
          save.blockHashes = message.saves[0]!.blockHashes;
        }
        const { sizeBytes, slices } = slicedSave(message);
        const bytes = Buffer.concat([...slices()]);
        expect(bytes).toEqual(Buffer.from(toBinary(SaveRequestSchema, message)));
        expect(sizeBytes).toBe(bytes.length);
      }),
    );
  });

  it('has no slice of more than 256 KiB, and holds what layers share once', () => {
    const shared = {
      blockIds: Array.from({ length: 20_000 }, (_, id) => id),
      blockHashes: Array.from({ length: 20_000 }, () => new Uint8Array(32)),
    };
    const message = create(SaveRequestSchema, { instanceId: 'x' });
    const layerNames = Array.from({ length: 61 }, (_, index) => `layer.${index}`);
    const one = create(SaveRequestSchema, { saves: [{ layerName: '', ...shared }] }).saves[0]!;
    message.saves = layerNames.map((layerName) => ({ ...one, layerName }));
    const slices = [...slicedSave(message).slices()];
    expect(Math.max(...slices.map(({ length }) => length))).toBe(256 << 10);
    const memory = new Set(slices.map(({ buffer }) => buffer));
    const heldBytes = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(heldBytes).toBeLessThan(1 << 20);
  });

  it('keeps what the hashes were when it was made', () => {
    const blockHashes = [new Uint8Array(32).fill(1)];
    const message = create(SaveRequestSchema, { saves: [{ layerName: 'l', blockIds: [1], blockHashes }] });
    const { slices } = slicedSave(message);
    const expected = toBinary(SaveRequestSchema, message);
    blockHashes[0]!.fill(2);
    expect(Buffer.concat([...slices()])).toEqual(Buffer.from(expected));
  });
});
