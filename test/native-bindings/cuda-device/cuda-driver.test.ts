import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Out } from '../../../native-bindings/cudart/calls.ts';
import { bindRuntime } from '../../../native-bindings/cudart/library.ts';
import type { CudaBuffer, CudaDriver } from '../../../native-bindings/index.ts';
import { cudaDouble } from '../cuda-double/build.ts';
import { describeCudaDriver, refusal } from '../cuda-driver-contract.ts';
import { describeOnDouble } from '../describe-on-double.ts';
import { createDoubleDriver } from '../device-drivers.ts';
import { shmObjectsOf } from '../shm-objects.ts';

/** Asks CUDA where memory really is. The address is nobody's business but the driver's, and this test's. */
const deviceHolding = (memory: CudaBuffer): number => {
  const { address } = memory as unknown as { readonly address: bigint };
  const attributes = { type: 0, device: -1 };
  expect(bindRuntime(cudaDouble()).cudaPointerGetAttributes(attributes, address)).toBe(0);
  return attributes.device;
};

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

  test('S-29 a call on the main thread acts on its own device, whatever was set before', () => {
    const runtime = bindRuntime(cudaDouble());
    for (const deviceId of [0, 1, 1, 0]) {
      runtime.cudaSetDevice(1 - deviceId);
      const memory = driver.allocate(deviceId, 16);
      expect(deviceHolding(memory)).toBe(deviceId);
      memory[Symbol.dispose]();
    }
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
});
