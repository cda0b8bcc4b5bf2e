import { describe, expect, onTestFinished, test } from 'vitest';
import type { CudaDriver } from '../../native-bindings/index.ts';
import type { DriverKind } from './device-drivers.ts';
import { countWrongBytes, writePattern } from './memory-pattern.ts';
import { Peer } from './peer.ts';

interface Extent {
  /** Each a multiple of 4. */
  readonly sizesBytes: readonly number[];
  readonly replays: number;
  /** Told what was measured; default: nobody. */
  readonly report?: (figure: string) => void;
}

/** What a CUDA driver shares with other processes, as a worker with servers that come and go. */
export function describeSharing(kind: DriverKind, makeDriver: () => CudaDriver, extent: Extent): void {
  const { sizesBytes, replays, report } = extent;
  describe(`memory shared by the ${kind}`, { timeout: 600_000 }, () => {
    const driver = makeDriver();

    const startPeer = (): Peer => {
      const peer = new Peer(kind);
      onTestFinished(() => peer.stop());
      return peer;
    };

    test.each(sizesBytes)(
      '%d bytes written here are read there, and the other way round, byte for byte',
      async (size) => {
        const peer = startPeer();
        const memory = driver.allocate(0, size);
        writePattern(memory, size, 1);
        const mapped = await peer.openHandle(0, memory.exportHandle());
        expect(await peer.countWrongBytes(mapped, size, 1)).toBe(0);
        await peer.writePattern(mapped, size, 2);
        expect(countWrongBytes(memory, size, 2)).toBe(0);
        expect(countWrongBytes(memory, size, 1)).toBeGreaterThan(0);
        await peer.dispose(mapped);
        memory[Symbol.dispose]();
      },
    );

    test(`S-30 one handle is opened by ${replays} servers, each killed, and device memory does not grow`, async () => {
      const size = 2 * 1024 * 1024;
      const memory = driver.allocate(0, size);
      const handle = memory.exportHandle();
      const freeBytesAfter: number[] = [];
      for (let replay = 0; replay < replays; replay += 1) {
        writePattern(memory, size, replay);
        const peer = startPeer();
        const mapped = await peer.openHandle(0, handle);
        expect(await peer.countWrongBytes(mapped, size, replay)).toBe(0);
        await peer.kill();
        freeBytesAfter.push(driver.memoryInfo(0).freeBytes);
      }
      report?.(
        `${replays} servers: ${freeBytesAfter[0]} bytes free after the first, ${freeBytesAfter.at(-1)} after the last`,
      );
      expect(memory.exportHandle()).toEqual(handle);
      expect(freeBytesAfter.at(-1)).toBe(freeBytesAfter[0]);
      memory[Symbol.dispose]();
    });
  });
}
