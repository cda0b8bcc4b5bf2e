import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Out } from '../../native-bindings/cudart/calls.ts';
import { bindRuntime } from '../../native-bindings/cudart/library.ts';
import type { CudaDriver } from '../../native-bindings/index.ts';
import { cudaDouble } from './cuda-double/build.ts';
import { bytesOf, describeCudaDriver, refusal } from './cuda-driver-contract.ts';
import { describeOnDouble } from './describe-on-double.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { shmObjectsOf } from './shm-objects.ts';

describeOnDouble('on a stand-in for libcudart', () => {
  afterEach(() => {
    expect(shmObjectsOf(process.pid)).toEqual([]);
  });

  describeCudaDriver('CUDA double', createDoubleDriver);
});

describeOnDouble('the CUDA driver', () => {
  let driver: CudaDriver;

  beforeAll(() => {
    driver = createDoubleDriver();
  });

  afterEach(() => {
    expect(shmObjectsOf(process.pid)).toEqual([]);
  });

  afterAll(async () => {
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

  describe('with memory that somebody else allocated', () => {
    const sizeBytes = 8192;

    const withPool = (deviceId: number, work: (pool: bigint) => void): void => {
      const runtime = bindRuntime(cudaDouble());
      const pointer: Out<bigint | null> = [null];
      expect([runtime.cudaSetDevice(deviceId), runtime.cudaMalloc(pointer, sizeBytes)]).toEqual([0, 0]);
      const pool = pointer[0] ?? 0n;
      try {
        work(pool);
      } finally {
        expect(runtime.cudaFree(pool)).toBe(0);
      }
    };

    test.each([
      ['that ends after its allocation', 4096n, sizeBytes],
      ['outside every allocation', BigInt(sizeBytes), 1],
      ['of no bytes', 0n, 0],
    ])('a range %s is refused', (_, offset, lengthBytes) => {
      withPool(0, (pool) => {
        expect(() => driver.adopt(0, pool + offset, lengthBytes)).toThrow(refusal('cudaErrorInvalidValue'));
      });
    });

    test('memory of another device is refused', () => {
      withPool(1, (pool) => {
        expect(() => driver.adopt(0, pool, 16)).toThrow(refusal('cudaErrorInvalidValue'));
        expect(driver.adopt(1, pool, 16).deviceId).toBe(1);
      });
    });
  });

  describe('with a stream', () => {
    test('what copies touch lives until the stream was waited for', async () => {
      const memory = driver.allocate(0, 64);
      const stream = driver.createStream(0);
      stream.write(memory, 0, bytesOf(64, 6));
      memory[Symbol.dispose]();
      expect([stream.isIdle(), shmObjectsOf(process.pid).length]).toEqual([false, 1]);
      await stream.synchronizeAsync();
      expect([stream.isIdle(), shmObjectsOf(process.pid).length]).toEqual([true, 0]);
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

    test('what is not ready yet is no error that a later call could find', () => {
      const runtime = bindRuntime(cudaDouble());
      const memory = driver.allocate(0, 8);
      const stream = driver.createStream(0);
      const event = driver.createEvent(0);
      stream.write(memory, 0, bytesOf(8, 9));
      stream.record(event);
      expect([stream.isIdle(), runtime.cudaGetLastError()]).toEqual([false, 0]);
      expect([event.isReached(), runtime.cudaGetLastError()]).toEqual([false, 0]);
      for (const used of [event, stream, memory]) used[Symbol.dispose]();
    });

    test('an event is reached when its stream was waited for, and what comes after it in another stream not before', () => {
      const memory = driver.allocate(0, 8);
      const [first, second] = [driver.createStream(0), driver.createStream(0)];
      const event = driver.createEvent(0);
      first.write(memory, 0, bytesOf(8, 9));
      first.record(event);
      second.waitFor(event);
      expect([event.isReached(), second.isIdle()]).toEqual([false, false]);
      second.synchronize();
      expect([event.isReached(), first.isIdle()]).toEqual([true, true]);
      for (const used of [event, second, first, memory]) used[Symbol.dispose]();
    });
  });
});
