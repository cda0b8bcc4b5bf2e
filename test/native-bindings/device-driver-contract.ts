import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type DeviceDriver, IPC_HANDLE_SIZE_BYTES } from '../../native-bindings/index.ts';
import type { DriverKind } from './device-drivers.ts';
import { Peer } from './peer.ts';
import { shmObjectsOf } from './shm-objects.ts';

/** The reasons that CUDA documents for a handle that no longer leads anywhere; which one it gives is not promised. */
const STALE_HANDLE_CODES = [
  'cudaErrorInvalidValue',
  'cudaErrorMapBufferObjectFailed',
  'cudaErrorInvalidResourceHandle',
];

const refusal = (...codes: readonly string[]): object =>
  expect.objectContaining({ code: expect.toBeOneOf([...codes]), call: expect.stringMatching(/^cu/) });

const peerRefusal = (...codes: readonly string[]): object =>
  expect.objectContaining({ code: expect.toBeOneOf([...codes]) });

const patternOf = (lengthBytes: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 31 + seed) % 251);

/** Small allocations of one process can share their handle's memory on a GPU; of this size each has its own. */
const OWN_ALLOCATION_SIZE_BYTES = 2 * 1024 * 1024;

/** What every device driver does, in this process and towards another one. The other one makes its driver by the same name. */
export function describeDeviceDriver(kind: DriverKind, makeDriver: () => DeviceDriver): void {
  describe(`the ${kind} device driver`, { timeout: 30_000 }, () => {
    const driver = makeDriver();
    const sizeBytes = 64 * 1024 + 3;
    let peer: Peer;

    beforeAll(() => {
      peer = new Peer(kind);
    });

    afterEach(() => {
      expect([...shmObjectsOf(process.pid), ...shmObjectsOf(peer.pid)]).toEqual([]);
    });

    afterAll(async () => {
      await peer.stop();
    });

    test('says what it is and has at least one device, each with a UUID of its own', () => {
      const uuids = Array.from({ length: driver.deviceCount() }, (_, deviceId) => driver.deviceUuid(deviceId));
      expect(driver.kind).toBe(kind === 'emulated' ? 'emulated' : 'cuda');
      expect(new Set(uuids).size).toBeGreaterThan(0);
      expect(new Set(uuids).size).toBe(uuids.length);
      expect(uuids).toEqual(uuids.map(() => expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)));
    });

    test('reads back what was written, and nothing beside it changes', () => {
      const memory = driver.allocate(0, sizeBytes);
      memory.write(0, patternOf(sizeBytes, 1));
      memory.write(4096, patternOf(100, 2));
      const expected = patternOf(sizeBytes, 1);
      expected.set(patternOf(100, 2), 4096);
      const actual = new Uint8Array(sizeBytes);
      memory.read(0, actual);
      expect(Buffer.compare(actual, expected)).toBe(0);
      expect([memory.deviceId, memory.sizeBytes, memory.offsetBytes]).toEqual([0, sizeBytes, 0]);
      memory[Symbol.dispose]();
    });

    test('memory of this process is read and written by another one', async () => {
      const memory = driver.allocate(0, sizeBytes);
      memory.write(0, patternOf(sizeBytes, 3));
      const mapped = await peer.openHandle(0, memory.exportHandle());
      expect(Buffer.compare(await peer.read(mapped, 0, sizeBytes), patternOf(sizeBytes, 3))).toBe(0);
      await peer.write(mapped, sizeBytes - 5, patternOf(5, 4));
      const tail = new Uint8Array(5);
      memory.read(sizeBytes - 5, tail);
      expect(tail).toEqual(patternOf(5, 4));
      await peer.dispose(mapped);
      memory[Symbol.dispose]();
    });

    test('memory of another process is read and written by this one', async () => {
      const { id, handle } = await peer.allocate(0, sizeBytes);
      await peer.write(id, 0, patternOf(sizeBytes, 5));
      const mapped = driver.openHandle(0, handle);
      const actual = new Uint8Array(sizeBytes);
      mapped.read(0, actual);
      expect(Buffer.compare(actual, patternOf(sizeBytes, 5))).toBe(0);
      mapped.write(17, patternOf(9, 6));
      expect(await peer.read(id, 17, 9)).toEqual(patternOf(9, 6));
      expect(mapped.deviceId).toBe(0);
      expect(mapped.sizeBytes).toBeGreaterThanOrEqual(sizeBytes);
      mapped[Symbol.dispose]();
      await peer.dispose(id);
    });

    test('part of an allocation is mapped as if it were one of its own', async () => {
      const { id, handle } = await peer.allocate(0, sizeBytes);
      await peer.write(id, 0, patternOf(sizeBytes, 9));
      const mapped = driver.openHandle(0, handle, { offsetBytes: 1000, sizeBytes: 50 });
      const actual = new Uint8Array(50);
      mapped.read(0, actual);
      expect(actual).toEqual(patternOf(sizeBytes, 9).subarray(1000, 1050));
      mapped.write(49, Uint8Array.of(1));
      expect(await peer.read(id, 1049, 1)).toEqual(Uint8Array.of(1));
      expect(mapped.sizeBytes).toBe(50);
      expect(() => mapped.write(50, Uint8Array.of(1))).toThrow(refusal('cudaErrorInvalidValue'));
      mapped[Symbol.dispose]();
      await peer.dispose(id);
    });

    test.each([
      ['that begins before it', { offsetBytes: -1, sizeBytes: 1 }],
      ['that ends after it', { offsetBytes: 1, sizeBytes: 2 ** 40 }],
      ['of no bytes', { offsetBytes: 0, sizeBytes: 0 }],
    ])('a part of an allocation %s is refused', async (_, part) => {
      const { id, handle } = await peer.allocate(0, sizeBytes);
      expect(() => driver.openHandle(0, handle, part)).toThrow(refusal('cudaErrorInvalidValue'));
      driver.openHandle(0, handle)[Symbol.dispose]();
      await peer.dispose(id);
    });

    test('a handle has 64 bytes and is the same every time', () => {
      const memory = driver.allocate(0, 16);
      const handle = memory.exportHandle();
      expect(handle.length).toBe(IPC_HANDLE_SIZE_BYTES);
      expect(memory.exportHandle()).toEqual(handle);
      memory[Symbol.dispose]();
    });

    test('a handle is opened twice, and each mapping is closed by itself', async () => {
      const { id, handle } = await peer.allocate(0, 16);
      const first = driver.openHandle(0, handle);
      const second = driver.openHandle(0, handle);
      first[Symbol.dispose]();
      await peer.write(id, 0, patternOf(16, 7));
      const actual = new Uint8Array(16);
      second.read(0, actual);
      expect(actual).toEqual(patternOf(16, 7));
      second[Symbol.dispose]();
      await peer.dispose(id);
    });

    test('closing a mapping frees nothing, and closing it twice is once', async () => {
      const { id, handle } = await peer.allocate(0, 16);
      await peer.write(id, 0, patternOf(16, 8));
      const mapped = driver.openHandle(0, handle);
      mapped[Symbol.dispose]();
      expect(await peer.read(id, 0, 16)).toEqual(patternOf(16, 8));
      const again = driver.openHandle(0, handle);
      mapped[Symbol.dispose]();
      again.read(0, new Uint8Array(16));
      again[Symbol.dispose]();
      await peer.dispose(id);
    });

    test('the exporting process cannot open its own handle', () => {
      const memory = driver.allocate(0, 16);
      expect(() => driver.openHandle(0, memory.exportHandle())).toThrow(refusal('cudaErrorDeviceUninitialized'));
      memory[Symbol.dispose]();
    });

    test('a handle of freed memory is refused', async () => {
      const { id, handle } = await peer.allocate(0, OWN_ALLOCATION_SIZE_BYTES);
      await peer.dispose(id);
      expect(() => driver.openHandle(0, handle)).toThrow(refusal(...STALE_HANDLE_CODES));
      const memory = driver.allocate(0, OWN_ALLOCATION_SIZE_BYTES);
      const ownHandle = memory.exportHandle();
      memory[Symbol.dispose]();
      await expect(peer.openHandle(0, ownHandle)).rejects.toEqual(peerRefusal(...STALE_HANDLE_CODES));
    });

    test('a handle of a process that ended is refused', async () => {
      const shortLived = new Peer(kind);
      const { handle } = await shortLived.allocate(0, 16);
      await shortLived.stop();
      expect(() => driver.openHandle(0, handle)).toThrow(refusal(...STALE_HANDLE_CODES));
    });

    test.each([0, 63, 65])('a handle of %d bytes is refused', (lengthBytes) => {
      expect(() => driver.openHandle(0, new Uint8Array(lengthBytes))).toThrow(refusal('cudaErrorInvalidValue'));
    });

    test.each([0, 255])('64 bytes of %d are no handle', (byte) => {
      const handle = new Uint8Array(IPC_HANDLE_SIZE_BYTES).fill(byte);
      expect(() => driver.openHandle(0, handle)).toThrow(refusal(...STALE_HANDLE_CODES));
    });

    test.each([
      ['before the start', -1, 1],
      ['past the end', 10, 7],
      ['beyond every number', Number.MAX_SAFE_INTEGER, 1],
      ['with a fraction', 0.5, 1],
    ] as const)('a copy %s is refused', (_, offset, lengthBytes) => {
      const memory = driver.allocate(0, 16);
      const refused = refusal('cudaErrorInvalidValue');
      expect(() => memory.read(offset, new Uint8Array(lengthBytes))).toThrow(refused);
      expect(() => memory.write(offset, new Uint8Array(lengthBytes))).toThrow(refused);
      memory[Symbol.dispose]();
    });

    test.each([0, -1, 1.5, Number.NaN])('an allocation of %d bytes is refused', (size) => {
      expect(() => driver.allocate(0, size)).toThrow(refusal('cudaErrorInvalidValue'));
    });

    test('more memory than there is is refused', () => {
      expect(() => driver.allocate(0, 2 ** 45)).toThrow(refusal('cudaErrorMemoryAllocation'));
    });

    test('a device that is not there is refused by every call', async () => {
      const { id, handle } = await peer.allocate(0, 16);
      for (const deviceId of [-1, driver.deviceCount(), 0.5]) {
        const refused = refusal('cudaErrorInvalidDevice');
        expect(() => driver.deviceUuid(deviceId)).toThrow(refused);
        expect(() => driver.allocate(deviceId, 16)).toThrow(refused);
        expect(() => driver.openHandle(deviceId, handle)).toThrow(refused);
      }
      await peer.dispose(id);
    });

    test('disposing twice is once, and every use after it is refused', () => {
      const memory = driver.allocate(0, 16);
      memory[Symbol.dispose]();
      memory[Symbol.dispose]();
      const refused = refusal('cudaErrorInvalidValue');
      expect(() => memory.read(0, new Uint8Array(1))).toThrow(refused);
      expect(() => memory.write(0, new Uint8Array(1))).toThrow(refused);
      expect(() => memory.exportHandle()).toThrow(refused);
    });
  });
}
