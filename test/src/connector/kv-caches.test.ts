import { expect, test } from 'vitest';
import { layerWithOffset } from '../../../src/connector/kv-caches.ts';
import { encodeIpcWrapper } from '../../../src/registration/ipc-wrapper.ts';

const shape = { numBlocks: 4, bytesPerBlock: 512, kvStrideBytes: 0, segments: 1 };
const layer = (name: string, wrapperBytes: Uint8Array) => ({ name, wrapperBytes, ...shape });
const wrapper = (storageOffset: number) =>
  encodeIpcWrapper({
    deviceIndex: 0,
    memoryHandle: new Uint8Array(64),
    storageSizeBytes: 4096,
    storageOffsetBytes: 0,
    refCounterFile: Buffer.from('/torch_1_2'),
    refCounterSlot: 0,
    eventHandle: new Uint8Array(64),
    eventSyncRequired: false,
    dtype: 'uint8',
    shape: [4, 512],
    stride: [512, 1],
    storageOffset,
    deviceUuid: 'uuid',
  });

test.each([
  ['a tensor inside its storage', wrapper(2048)],
  ['a wrapper that cannot be read', new Uint8Array([0x80, 0x04])],
])('%s has, or may have, an offset that an old server does not check', (_, bytes) => {
  expect(layerWithOffset([layer('l0', wrapper(0)), layer('l1', bytes)])).toBe('l1');
  expect(layerWithOffset([layer('l0', wrapper(0))])).toBeUndefined();
});
