import { describe, expect, test } from 'vitest';
import { IpcWrapperError } from '../../../src/registration/ipc-wrapper-error.ts';
import {
  type CudaTensor,
  ipcHandleFrom,
  torchMemoryHandle,
  torchWrapperOf,
} from '../../../src/registration/torch-handle.ts';

const handle = Uint8Array.from({ length: 64 }, (_, i) => 200 - i);

describe("torch's marker of a memory handle", () => {
  test('is the lowest version and the letter of cudaMalloc, in front of the handle', () => {
    const marked = torchMemoryHandle(handle);
    expect([...marked.subarray(0, 2), marked.length]).toEqual([1, 'c'.charCodeAt(0), 66]);
    expect(marked.subarray(2)).toEqual(handle);
  });

  test.each([
    ['without one, as torch before 2.5', handle],
    ['of version 1', torchMemoryHandle(handle)],
    ['of version 2, as torch 2.12', Uint8Array.of(2, 0x63, ...handle)],
    ['of version 3, as torch 2.13', Uint8Array.of(3, 0x63, ...handle)],
  ])('is taken off: a handle %s', (_, memoryHandle) => {
    expect(ipcHandleFrom(memoryHandle)).toEqual(handle);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['of a newer version', Uint8Array.of(4, 0x63, ...handle), /of a newer torch: version 4/],
    ['of an expandable segment', Uint8Array.of(2, 0x65, ...handle, 1, 2), /expandable segment/],
    ['of an unknown kind', Uint8Array.of(2, 0x66, ...handle), /66 bytes is of no kind/],
    ['that is cut short', torchMemoryHandle(handle).subarray(0, 65), /65 bytes is of no kind/],
    ['that is empty', new Uint8Array(), /0 bytes is of no kind/],
  ])('a handle %s is refused', (_, memoryHandle, message) => {
    expect(() => ipcHandleFrom(memoryHandle)).toThrow(message);
    expect(() => ipcHandleFrom(memoryHandle)).toThrow(IpcWrapperError);
  });

  test.each([0, 63, 65])('an event handle of %d bytes, which torch would refuse, is refused', (lengthBytes) => {
    const tensor: CudaTensor = {
      deviceIndex: 0,
      deviceUuid: 'a0a1a2a3-a4a5-a6a7-a8a9-aaabacadae00',
      handle,
      offsetBytes: 0,
      sizeBytes: 8,
      dtype: 'int64',
      shape: [1],
      stride: [1],
    };
    expect(torchWrapperOf({ ...tensor, eventHandle: new Uint8Array(64) }).eventSyncRequired).toBe(true);
    const make = () => torchWrapperOf({ ...tensor, eventHandle: new Uint8Array(lengthBytes) });
    expect(make).toThrow(/event handle has \d+ bytes, not 64/);
    expect(make).toThrow(IpcWrapperError);
  });

  test.each([0, 63, 66])('%d bytes cannot be marked', (lengthBytes) => {
    expect(() => torchMemoryHandle(new Uint8Array(lengthBytes))).toThrow(/not 64/);
  });
});
