import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type DeviceBuffer,
  type DeviceDriver,
  DeviceError,
  type DeviceMemory,
  IPC_HANDLE_SIZE_BYTES,
} from '../../native-bindings/index.ts';
import { noCompiler } from './cuda-double/build.ts';
import { type DriverKind, deviceDrivers } from './device-drivers.ts';
import { Peer } from './peer.ts';
import { shmObjectsOf } from './shm-objects.ts';

/** What may be done to a driver, and with which of the buffers that were got so far. */
type Step =
  | { readonly do: 'allocate'; readonly deviceId: number; readonly sizeBytes: number }
  | { readonly do: 'open'; readonly deviceId: number; readonly handle: Uint8Array; readonly part: Part | undefined }
  | { readonly do: 'openForeign'; readonly index: number; readonly flip: number; readonly part: Part | undefined }
  | { readonly do: 'openOwn' | 'export' | 'dispose'; readonly index: number }
  | { readonly do: 'read' | 'write'; readonly index: number; readonly offset: number; readonly lengthBytes: number };

interface Part {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

const odd = fc.oneof(
  fc.double({ min: -1, max: 1 }),
  fc.constantFrom(2 ** 31 + 0.5, 2 ** 45, 2 ** 53, -(2 ** 63), Infinity),
);
const anyNumber = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -2, max: 70_000 }) },
  { weight: 1, arbitrary: odd },
);
const deviceId = fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 1 }) }, { weight: 1, arbitrary: anyNumber });
const index = fc.nat({ max: 7 });
const part = fc.option(fc.record({ offsetBytes: anyNumber, sizeBytes: anyNumber }), { nil: undefined });

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('allocate' as const), deviceId, sizeBytes: anyNumber }),
  fc.record({ do: fc.constant('open' as const), deviceId, handle: fc.uint8Array({ maxLength: 66 }), part }),
  fc.record({ do: fc.constant('openForeign' as const), index, flip: fc.integer({ min: -200, max: 511 }), part }),
  fc.record({ do: fc.constantFrom('openOwn' as const, 'export' as const, 'dispose' as const), index }),
  fc.record({
    do: fc.constantFrom('read' as const, 'write' as const),
    index,
    offset: anyNumber,
    lengthBytes: fc.nat({ max: 5000 }),
  }),
);

const mappedRegions = (): number => {
  const maps = readFileSync('/proc/self/maps', 'latin1');
  return maps.split('\n').filter((line) => line.includes('/dev/shm/')).length;
};

/** Runs the steps and lets go of everything. Whatever is refused must be refused by an error of ours. */
const run = (driver: DeviceDriver, foreign: readonly Uint8Array[], steps: readonly Step[]): void => {
  const buffers: DeviceBuffer[] = [];
  const memories: DeviceMemory[] = [];
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
    }
  };
  const take = (step: Step): void => {
    switch (step.do) {
      case 'allocate': {
        const memory = driver.allocate(step.deviceId, step.sizeBytes);
        buffers.push(memory);
        memories.push(memory);
        return;
      }
      case 'open':
        buffers.push(driver.openHandle(step.deviceId, step.handle, step.part));
        return;
      case 'openForeign': {
        const handle = Uint8Array.from(foreign[step.index % foreign.length] ?? []);
        const bit = step.flip;
        if (bit >= 0) handle[bit >> 3] = (handle[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        buffers.push(driver.openHandle(0, handle, step.part));
        return;
      }
      case 'openOwn':
        driver.openHandle(0, memories[step.index]?.exportHandle() ?? new Uint8Array(IPC_HANDLE_SIZE_BYTES));
        return;
      case 'export':
        memories[step.index]?.exportHandle();
        return;
      case 'dispose':
        buffers[step.index]?.[Symbol.dispose]();
        return;
      case 'read':
        buffers[step.index]?.read(step.offset, new Uint8Array(step.lengthBytes));
        return;
      case 'write':
        buffers[step.index]?.write(step.offset, new Uint8Array(step.lengthBytes));
    }
  };
  for (const step of steps) attempt(() => take(step));
  for (const buffer of buffers) {
    buffer[Symbol.dispose]();
    buffer[Symbol.dispose]();
  }
};

const kinds: readonly DriverKind[] = ['emulated', 'CUDA double'];

describe.each(kinds)('the %s driver under random calls', { timeout: 60_000 }, (kind) => {
  const reason = kind === 'CUDA double' ? noCompiler : null;
  let peer: Peer;

  beforeAll(() => {
    if (reason === null) peer = new Peer(kind);
  });

  afterAll(async () => {
    if (reason === null) await peer.stop();
  });

  test('refuses with errors of ours, never crashes, and leaves nothing mapped or in shared memory', async ({
    skip,
  }) => {
    if (reason !== null) skip(reason);
    const driver = deviceDrivers[kind]();
    const foreign: Uint8Array[] = [];
    for (const sizeBytes of [1, 4096, 65_539]) foreign.push((await peer.allocate(0, sizeBytes)).handle);
    const heldByPeer = shmObjectsOf(peer.pid).length;
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 1, maxLength: 40 }), (steps) => {
        run(driver, foreign, steps);
        expect([shmObjectsOf(process.pid), mappedRegions()]).toEqual([[], 0]);
      }),
      { numRuns: 200 },
    );
    expect(shmObjectsOf(peer.pid).length).toBe(heldByPeer);
  });
});
