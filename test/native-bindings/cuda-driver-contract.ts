import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Out } from '../../native-bindings/cudart/calls.ts';
import { bindRuntime } from '../../native-bindings/cudart/library.ts';
import type { CudaDriver } from '../../native-bindings/index.ts';
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
  });
}
