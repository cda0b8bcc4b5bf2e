import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Out } from '../../native-bindings/cudart/calls.ts';
import { bindRuntime } from '../../native-bindings/cudart/library.ts';
import { type CudaDriver, createEmulatedDriver } from '../../native-bindings/index.ts';
import type { DriverKind } from './device-drivers.ts';
import { Peer } from './peer.ts';

export const refusal = (code: string): object => expect.objectContaining({ name: 'DeviceError', code });

export const bytesOf = (lengthBytes: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + seed) % 253);

const MIB = 1024 * 1024;

/** What the CUDA driver does beyond what every device driver does, on device 0 of the runtime that it is made on. */
export function describeCudaDriver(kind: DriverKind, makeDriver: () => CudaDriver): void {
  describe(`the CUDA driver on the ${kind}`, { timeout: 30_000 }, () => {
    let driver: CudaDriver;
    let peer: Peer;

    beforeAll(() => {
      driver = makeDriver();
      peer = new Peer(kind);
    });

    afterAll(async () => {
      await peer.stop();
      await driver[Symbol.asyncDispose]();
    });

    test('fills a range with one byte', () => {
      const memory = driver.allocate(0, 16);
      memory.write(0, bytesOf(16, 1));
      memory.fill(4, 3, 0x1ff);
      const actual = new Uint8Array(16);
      memory.read(0, actual);
      expect(actual).toEqual(Uint8Array.from([...bytesOf(4, 1), 255, 255, 255, ...bytesOf(16, 1).subarray(7)]));
      expect(() => memory.fill(15, 2, 0)).toThrow(refusal('cudaErrorInvalidValue'));
      memory[Symbol.dispose]();
    });

    test('a tensor inside a pool that somebody else allocated is exported by the handle of the pool and its offset', async () => {
      const runtime = bindRuntime(driver.libraryPath);
      const pool: Out<bigint | null> = [null];
      expect([runtime.cudaSetDevice(0), runtime.cudaMalloc(pool, 2 * MIB)]).toEqual([0, 0]);
      const address = pool[0] ?? 0n;
      const tensor = driver.adopt(0, address + 4096n, 100);
      expect([tensor.offsetBytes, tensor.sizeBytes]).toEqual([4096, 100]);
      tensor.write(0, bytesOf(100, 2));
      const mapped = await peer.openHandle(0, tensor.exportHandle());
      expect(await peer.read(mapped, tensor.offsetBytes, 100)).toEqual(bytesOf(100, 2));
      await peer.dispose(mapped);
      expect(() => tensor.read(1, new Uint8Array(100))).toThrow(refusal('cudaErrorInvalidValue'));
      expect(() => driver.adopt(0, address + 4096n, 2 * MIB)).toThrow(refusal('cudaErrorInvalidValue'));
      tensor[Symbol.dispose]();
      tensor[Symbol.dispose]();
      expect(runtime.cudaFree(address)).toBe(0);
    });

    describe('without stalling the event loop', () => {
      test('memory is allocated, written, mapped, read and given back', async () => {
        const memory = await driver.allocateAsync(0, 1000);
        await memory.writeAsync(0, bytesOf(1000, 3));
        const shared = new Uint8Array(new SharedArrayBuffer(1000));
        await memory.readAsync(0, shared);
        expect(Buffer.compare(shared, bytesOf(1000, 3))).toBe(0);

        const { id, handle } = await peer.allocate(0, 100);
        await peer.write(id, 0, bytesOf(100, 4));
        const mapped = await driver.openHandleAsync(0, handle);
        const actual = new Uint8Array(50);
        await mapped.readAsync(50, actual);
        expect(actual).toEqual(bytesOf(100, 4).subarray(50));
        await mapped[Symbol.asyncDispose]();
        await memory[Symbol.asyncDispose]();
        await memory[Symbol.asyncDispose]();
        await peer.dispose(id);
      });

      test('refusals are those of the other forms', async () => {
        const memory = driver.allocate(0, 16);
        await expect(memory.readAsync(1, new Uint8Array(16))).rejects.toEqual(refusal('cudaErrorInvalidValue'));
        await expect(driver.allocateAsync(0, 2 ** 45)).rejects.toEqual(refusal('cudaErrorMemoryAllocation'));
        await expect(driver.allocateAsync(99, 16)).rejects.toEqual(refusal('cudaErrorInvalidDevice'));
        await expect(driver.openHandleAsync(0, memory.exportHandle())).rejects.toEqual(
          refusal('cudaErrorDeviceUninitialized'),
        );
        await expect(driver.openHandleAsync(0, new Uint8Array(63))).rejects.toEqual(refusal('cudaErrorInvalidValue'));
        memory[Symbol.dispose]();
        await expect(memory.writeAsync(0, new Uint8Array(1))).rejects.toEqual(refusal('cudaErrorInvalidValue'));
      });

      test('bytes that could vanish meanwhile are refused', async () => {
        const memory = driver.allocate(0, 16);
        const resizable = new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 }));
        await expect(memory.writeAsync(0, resizable)).rejects.toThrow(/resizable/);
        memory[Symbol.dispose]();
      });

      test('copies that are under way when memory is disposed of end with the right bytes', async () => {
        const memory = driver.allocate(0, MIB);
        const actual = new Uint8Array(MIB);
        const copies = [memory.writeAsync(0, bytesOf(MIB, 5)), memory.readAsync(0, actual)];
        memory[Symbol.dispose]();
        await Promise.all(copies);
        expect(Buffer.compare(actual, bytesOf(MIB, 5))).toBe(0);
      });
    });

    describe('with a stream', () => {
      test('copies arrive when the stream was waited for, though their memory was disposed of', async () => {
        const memory = driver.allocate(0, 64);
        const stream = driver.createStream(0);
        const target = new Uint8Array(64);
        stream.write(memory, 0, bytesOf(64, 6));
        stream.read(memory, 0, target);
        memory[Symbol.dispose]();
        await stream.synchronizeAsync();
        expect([target, stream.isIdle()]).toEqual([bytesOf(64, 6), true]);
        stream[Symbol.dispose]();
        stream[Symbol.dispose]();
      });

      test('disposing waits for what was begun', () => {
        const memory = driver.allocate(0, 8);
        const stream = driver.createStream(0);
        stream.write(memory, 0, bytesOf(8, 7));
        stream[Symbol.dispose]();
        const actual = new Uint8Array(8);
        memory.read(0, actual);
        expect(actual).toEqual(bytesOf(8, 7));
        memory[Symbol.dispose]();
        expect(() => stream.synchronize()).toThrow(refusal('cudaErrorInvalidResourceHandle'));
        expect(() => stream.write(memory, 0, new Uint8Array(1))).toThrow(refusal('cudaErrorInvalidResourceHandle'));
      });

      test('a copy out of range and memory of another driver are refused', () => {
        const memory = driver.allocate(0, 8);
        const stream = driver.createStream(0);
        expect(() => stream.read(memory, 1, new Uint8Array(8))).toThrow(refusal('cudaErrorInvalidValue'));
        const emulated = createEmulatedDriver().allocate(0, 8);
        expect(() => stream.read(emulated as never, 0, new Uint8Array(8))).toThrow(refusal('cudaErrorInvalidValue'));
        emulated[Symbol.dispose]();
        memory[Symbol.dispose]();
        stream[Symbol.dispose]();
      });

      test('an event is recorded, waited for by another stream and on the thread, and reached', async () => {
        const memory = driver.allocate(0, MIB);
        const [first, second] = [driver.createStream(0), driver.createStream(0)];
        const event = driver.createEvent(0);
        expect(event.isReached()).toBe(true);
        const target = new Uint8Array(MIB);
        first.write(memory, 0, bytesOf(MIB, 8));
        first.record(event);
        second.waitFor(event);
        second.read(memory, 0, target);
        await event.synchronizeAsync();
        expect(event.isReached()).toBe(true);
        second.synchronize();
        expect(Buffer.compare(target, bytesOf(MIB, 8))).toBe(0);
        for (const used of [second, first, event, memory]) used[Symbol.dispose]();
      });

      test('an event is exported and opened by another process, and of no use once disposed of', async () => {
        const stream = driver.createStream(0);
        const event = driver.createEvent(0);
        stream.record(event);
        event.synchronize();
        const handle = event.exportHandle();
        expect(handle.length).toBe(64);
        expect(() => driver.openEvent(0, handle)).toThrow(refusal('cudaErrorDeviceUninitialized'));
        await peer.openEvent(0, handle);
        event[Symbol.dispose]();
        event[Symbol.dispose]();
        const refused = refusal('cudaErrorInvalidResourceHandle');
        expect(() => event.exportHandle()).toThrow(refused);
        expect(() => stream.record(event)).toThrow(refused);
        await expect(event.synchronizeAsync()).rejects.toEqual(refused);
        expect(() => driver.openEvent(0, new Uint8Array(65))).toThrow(refusal('cudaErrorInvalidValue'));
        stream[Symbol.dispose]();
      });
    });

    test('host memory is pinned once and let go of once', () => {
      const bytes = new Uint8Array(4096);
      const pinned = driver.registerHost(bytes);
      expect(() => driver.registerHost(bytes)).toThrow(refusal('cudaErrorHostMemoryAlreadyRegistered'));
      pinned[Symbol.dispose]();
      pinned[Symbol.dispose]();
      driver.registerHost(bytes)[Symbol.dispose]();
      expect(() => driver.registerHost(new Uint8Array())).toThrow(refusal('cudaErrorInvalidValue'));
    });

    test('host memory that was transferred meanwhile is let go of all the same', () => {
      const bytes = new Uint8Array(4096);
      const pinned = driver.registerHost(bytes);
      const moved = new Uint8Array(bytes.buffer.transfer());
      expect(() => driver.registerHost(moved)).toThrow(refusal('cudaErrorHostMemoryAlreadyRegistered'));
      pinned[Symbol.dispose]();
      driver.registerHost(moved)[Symbol.dispose]();
    });
  });
}
