import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Out } from '../../native-bindings/cudart/calls.ts';
import { bindRuntime } from '../../native-bindings/cudart/library.ts';
import { type CudaDriver, createEmulatedDriver } from '../../native-bindings/index.ts';
import { cudaDouble } from './cuda-double/build.ts';
import { describeOnDouble } from './describe-on-double.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { Peer } from './peer.ts';
import { shmObjectsOf } from './shm-objects.ts';

const refusal = (code: string): object => expect.objectContaining({ name: 'DeviceError', code });

const bytesOf = (lengthBytes: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + seed) % 253);

describeOnDouble('the CUDA driver', () => {
  let driver: CudaDriver;
  let peer: Peer;

  beforeAll(() => {
    driver = createDoubleDriver();
    peer = new Peer('CUDA double');
  });

  afterEach(() => {
    expect([...shmObjectsOf(process.pid), ...shmObjectsOf(peer.pid)]).toEqual([]);
  });

  afterAll(async () => {
    await peer.stop();
    await driver[Symbol.asyncDispose]();
  });

  test('says which library and versions it has, and what each device is', () => {
    expect([driver.libraryPath, driver.runtimeVersion, driver.driverVersion]).toEqual([cudaDouble(), 13_000, 13_000]);
    expect([driver.pciBusId(0), driver.pciBusId(1)]).toEqual(['0000:01:00.0', '0000:02:00.0']);
    expect(driver.deviceUuid(1)).toBe('a0a1a2a3-a4a5-a6a7-a8a9-aaabacadae01');
    const { freeBytes, totalBytes } = driver.memoryInfo(0);
    const memory = driver.allocate(0, 1 << 20);
    expect(driver.memoryInfo(0)).toEqual({ freeBytes: freeBytes - (1 << 20), totalBytes });
    memory[Symbol.dispose]();
    expect(driver.memoryInfo(0)).toEqual({ freeBytes, totalBytes });
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

  describe('with memory that somebody else allocated', () => {
    const sizeBytes = 8192;
    let pool: bigint;

    beforeAll(() => {
      pool = 0n;
    });

    const withPool = async (deviceId: number, work: () => void | Promise<void>): Promise<void> => {
      const runtime = bindRuntime(cudaDouble());
      const pointer: Out<bigint | null> = [null];
      expect([runtime.cudaSetDevice(deviceId), runtime.cudaMalloc(pointer, sizeBytes)]).toEqual([0, 0]);
      pool = pointer[0] ?? 0n;
      try {
        await work();
      } finally {
        expect(runtime.cudaFree(pool)).toBe(0);
      }
    };

    test('a tensor inside a pool is exported by the handle of the pool and its offset', async () => {
      await withPool(0, async () => {
        const tensor = driver.adopt(0, pool + 4096n, 100);
        expect([tensor.offsetBytes, tensor.sizeBytes]).toEqual([4096, 100]);
        tensor.write(0, bytesOf(100, 2));
        const mapped = await peer.openHandle(0, tensor.exportHandle());
        expect(await peer.read(mapped, tensor.offsetBytes, 100)).toEqual(bytesOf(100, 2));
        await peer.dispose(mapped);
        expect(() => tensor.read(1, new Uint8Array(100))).toThrow(refusal('cudaErrorInvalidValue'));
        tensor[Symbol.dispose]();
        tensor[Symbol.dispose]();
      });
    });

    test.each([
      ['that ends after its allocation', 4096n, sizeBytes],
      ['outside every allocation', BigInt(sizeBytes), 1],
      ['of no bytes', 0n, 0],
    ])('a range %s is refused', async (_, offset, lengthBytes) => {
      await withPool(0, () => {
        expect(() => driver.adopt(0, pool + offset, lengthBytes)).toThrow(refusal('cudaErrorInvalidValue'));
      });
    });

    test('memory of another device is refused', async () => {
      await withPool(1, () => {
        expect(() => driver.adopt(0, pool, 16)).toThrow(refusal('cudaErrorInvalidValue'));
        expect(driver.adopt(1, pool, 16).deviceId).toBe(1);
      });
    });
  });

  describe('without stalling the event loop', () => {
    test('memory is allocated, written, mapped, read and given back', async () => {
      const memory = await driver.allocateAsync(1, 1000);
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
      await expect(driver.allocateAsync(9, 16)).rejects.toEqual(refusal('cudaErrorInvalidDevice'));
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

    test('memory that is disposed of during a copy is given back after it', async () => {
      const memory = driver.allocate(0, 1 << 20);
      const source = bytesOf(1 << 20, 5);
      const copies = [memory.writeAsync(0, source), memory.readAsync(0, new Uint8Array(1 << 20))];
      memory[Symbol.dispose]();
      expect(shmObjectsOf(process.pid)).toHaveLength(1);
      await Promise.all(copies);
      expect(shmObjectsOf(process.pid)).toEqual([]);
    });
  });

  describe('with a stream', () => {
    test('copies arrive when the stream was waited for, and what they touch lives until then', async () => {
      const memory = driver.allocate(0, 64);
      const stream = driver.createStream(0);
      const target = new Uint8Array(64);
      stream.write(memory, 0, bytesOf(64, 6));
      stream.read(memory, 0, target);
      memory[Symbol.dispose]();
      expect([stream.isIdle(), shmObjectsOf(process.pid).length]).toEqual([false, 1]);
      await stream.synchronizeAsync();
      expect(target).toEqual(bytesOf(64, 6));
      expect([stream.isIdle(), shmObjectsOf(process.pid).length]).toEqual([true, 0]);
      stream[Symbol.dispose]();
      stream[Symbol.dispose]();
    });

    test('a wait lets go of what was begun before it, and of nothing else', async () => {
      const stream = driver.createStream(0);
      const waits: Promise<void>[] = [];
      for (let i = 0; i < 3; i += 1) {
        const memory = driver.allocate(0, 8);
        stream.write(memory, 0, bytesOf(8, i));
        memory[Symbol.dispose]();
        if (i < 2) waits.push(stream.synchronizeAsync());
      }
      await Promise.all(waits);
      expect(shmObjectsOf(process.pid)).toHaveLength(1);
      stream.synchronize();
      expect(shmObjectsOf(process.pid)).toEqual([]);
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

    test('an event is recorded, waited for, exported and opened by another process', async () => {
      const stream = driver.createStream(0);
      const event = driver.createEvent(0);
      stream.record(event);
      stream.waitFor(event);
      event.synchronize();
      expect(event.isReached()).toBe(true);
      const handle = event.exportHandle();
      expect(handle.length).toBe(64);
      expect(() => driver.openEvent(0, handle)).toThrow(refusal('cudaErrorDeviceUninitialized'));
      await peer.openEvent(0, handle);
      event[Symbol.dispose]();
      event[Symbol.dispose]();
      expect(() => event.exportHandle()).toThrow(refusal('cudaErrorInvalidResourceHandle'));
      expect(() => stream.record(event)).toThrow(refusal('cudaErrorInvalidResourceHandle'));
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
