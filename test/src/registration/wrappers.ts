import type { IpcWrapper } from '../../../src/registration/ipc-wrapper.ts';

/** One layer of emulated memory. */
export const emulatedWrapper: IpcWrapper = {
  deviceIndex: 0,
  memoryHandle: Uint8Array.from({ length: 64 }, (_, i) => 255 - i),
  storageSizeBytes: 64 * 2 * 16 * 8 * 128 * 2,
  storageOffsetBytes: 0,
  refCounterFile: new Uint8Array(),
  refCounterSlot: 0,
  eventHandle: new Uint8Array(64),
  eventSyncRequired: false,
  dtype: 'bfloat16',
  shape: [2, 64, 16, 8, 128],
  stride: [1_048_576, 16_384, 1024, 128, 1],
  storageOffset: 0,
  deviceUuid: '00000000-0000-4000-8000-000000000000',
};

/** Every number at a border of its encoding, bytes beyond 255, text beyond ASCII. */
export const extremeWrapper: IpcWrapper = {
  deviceIndex: 255,
  memoryHandle: Uint8Array.from({ length: 300 }, (_, i) => i % 256),
  storageSizeBytes: Number.MAX_SAFE_INTEGER,
  storageOffsetBytes: 2 ** 31,
  refCounterFile: new TextEncoder().encode('/torch_4711_1234567890_0'),
  refCounterSlot: 65_535,
  eventHandle: Uint8Array.of(0, 127, 128, 255),
  eventSyncRequired: true,
  dtype: 'float8_e4m3fn',
  shape: [0, 256, 65_536, 2 ** 31 - 1, 2 ** 32],
  stride: [1, 2, 3, 4, 2 ** 48],
  storageOffset: 2 ** 33,
  deviceUuid: `GPU-é-${'x'.repeat(300)}`,
};
