import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CudaBuffer, type CudaDriver, DeviceError } from '../../native-bindings/index.ts';
import { describeOnDouble } from './describe-on-double.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { Peer } from './peer.ts';
import { shmObjectsOf } from './shm-objects.ts';

const MAX_SIZE_BYTES = 100_000;

interface Step {
  readonly does: keyof Session;
  /** Which of those that were made so far. */
  readonly which: number;
  readonly deviceId: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Memory of one run, disposed of or not. */
class Session {
  readonly #driver: CudaDriver;
  readonly #foreign: Uint8Array;
  readonly #memories: CudaBuffer[] = [];

  constructor(driver: CudaDriver, foreign: Uint8Array) {
    this.#driver = driver;
    this.#foreign = foreign;
  }

  allocate({ deviceId, sizeBytes }: Step): void {
    this.#memories.push(this.#driver.allocate(deviceId, sizeBytes));
  }

  adopt({ deviceId, offset, sizeBytes }: Step): void {
    this.#memories.push(this.#driver.adopt(deviceId, BigInt(Math.trunc(Math.abs(offset) || 0) % 2 ** 47), sizeBytes));
  }

  open({ deviceId, offset, sizeBytes }: Step): void {
    this.#memories.push(this.#driver.openHandle(deviceId, this.#foreign, { offsetBytes: offset, sizeBytes }));
  }

  copy({ which, offset, sizeBytes }: Step): void {
    this.#memory(which)?.write(offset, host(sizeBytes));
    this.#memory(which)?.read(offset, host(sizeBytes));
  }

  fill({ which, offset, sizeBytes }: Step): void {
    this.#memory(which)?.fill(offset, sizeBytes, 7);
  }

  disposeMemory({ which }: Step): void {
    this.#memory(which)?.[Symbol.dispose]();
  }

  end(): void {
    for (const memory of this.#memories) {
      memory[Symbol.dispose]();
      memory[Symbol.dispose]();
    }
  }

  #memory(which: Step['which']): CudaBuffer | undefined {
    return this.#memories[which % this.#memories.length];
  }
}

const host = (sizeBytes: number): Uint8Array =>
  new Uint8Array(Math.min(Math.trunc(Math.abs(sizeBytes)) || 0, MAX_SIZE_BYTES));

function mustBeOurs(error: unknown): void {
  if (!(error instanceof DeviceError)) throw error;
}

const actions = Object.getOwnPropertyNames(Session.prototype).filter(
  (name) => name !== 'constructor' && name !== 'end',
) as (keyof Session)[];

const odd = fc.constantFrom(-1, 0.5, 2 ** 31 + 0.5, 2 ** 32 + 1, 2 ** 45, 2 ** 53, Number.NaN);
const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: MAX_SIZE_BYTES }) },
  { weight: 1, arbitrary: odd },
);
const aStep: fc.Arbitrary<Step> = fc.record({
  does: fc.constantFrom(...actions),
  which: fc.nat({ max: 2 }),
  deviceId: fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 1 }) }, { weight: 1, arbitrary: odd }),
  offset: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: size }),
  sizeBytes: size,
});

/** So that most steps find what they need. */
const beginning: Step = { does: 'allocate', which: 0, deviceId: 0, offset: 0, sizeBytes: MAX_SIZE_BYTES };

const mappedRegions = (): number =>
  readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes('/dev/shm/')).length;

describeOnDouble('the CUDA driver under random calls', () => {
  let driver: CudaDriver;
  let peer: Peer;

  beforeAll(() => {
    driver = createDoubleDriver();
    peer = new Peer('CUDA double');
  });

  afterAll(async () => {
    await peer.stop();
  });

  test('refuses with errors of ours and leaves nothing', async () => {
    const { handle } = await peer.allocate(0, MAX_SIZE_BYTES);
    fc.assert(
      fc.property(fc.array(aStep, { minLength: 1, maxLength: 60 }), (steps) => {
        const session = new Session(driver, handle);
        for (const step of [beginning, ...steps]) {
          try {
            session[step.does](step);
          } catch (error) {
            mustBeOurs(error);
          }
        }
        session.end();
        expect([shmObjectsOf(process.pid), mappedRegions()]).toEqual([[], 0]);
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});
