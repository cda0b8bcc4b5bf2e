import { describe, expect, test } from 'vitest';
import type { DeviceDriver } from '../../../../native-bindings/device-memory.ts';
import { createTensorOpener } from '../../../../src/engine/registration/tensor-opener.ts';
import { behaviourOf } from '../../../../src/engine/server-version.ts';
import { encodeIpcWrapper, type IpcWrapper } from '../../../../src/registration/ipc-wrapper.ts';
import { emulatedWrapper } from '../../registration/wrappers.ts';

const ALLOCATION_BYTES = 8192;

const opened = (change: Partial<IpcWrapper>, version: string) => {
  let isMapped = false;
  const memory = {
    deviceId: 0,
    sizeBytes: ALLOCATION_BYTES,
    read: () => {},
    write: () => {},
    [Symbol.dispose]: () => {
      isMapped = false;
    },
  };
  const driver = {
    deviceCount: () => 1,
    deviceUuid: () => emulatedWrapper.deviceUuid,
    openHandle: () => {
      isMapped = true;
      return memory;
    },
  } satisfies Partial<DeviceDriver> as unknown as DeviceDriver;
  const open = createTensorOpener(driver, behaviourOf(version));
  const wrapper = { ...emulatedWrapper, storageSizeBytes: 4096, storageOffsetBytes: 1024, ...change };
  try {
    const { offsetBytes, sizeBytes } = open(encodeIpcWrapper(wrapper));
    return { offsetBytes, sizeBytes };
  } catch (error) {
    expect(isMapped).toBe(false);
    return error instanceof Error ? error.message : error;
  }
};

describe('a tensor that begins inside its storage', () => {
  test.each(['0.25.1', '0.24.6'])('ends with its storage at a server of %s', (version) => {
    expect(opened({ storageOffset: 100 }, version)).toEqual({ offsetBytes: 1224, sizeBytes: 3896 });
    expect(opened({ storageOffset: 2048 }, version)).toEqual({ offsetBytes: 5120, sizeBytes: 0 });
    expect(opened({ storageOffset: 2049 }, version)).toBe('tensor storage offset lies past the end of its allocation');
  });

  test('is as long as its storage at a server of 0.23.12', () => {
    expect(opened({ storageOffset: 100 }, '0.23.12')).toEqual({ offsetBytes: 1224, sizeBytes: 4096 });
  });

  test('is found by the bytes of its elements', () => {
    expect(opened({ storageOffset: 100, dtype: 'float64' }, '0.25.1')).toEqual({ offsetBytes: 1824, sizeBytes: 3296 });
  });
});

test('memory of a device that this process does not have, and storage beyond its allocation, are refused', () => {
  expect(opened({ deviceUuid: 'nowhere' }, '0.25.1')).toBe(
    'Device UUID nowhere not found in the discovered devices. Please make sure the process can see all the GPU devices.',
  );
  expect(opened({ storageSizeBytes: ALLOCATION_BYTES }, '0.25.1')).toMatch(/does not fit in its allocation$/);
});
