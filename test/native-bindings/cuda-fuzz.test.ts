import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type CudaBuffer,
  type CudaDriver,
  type CudaEvent,
  type CudaStream,
  DeviceError,
} from '../../native-bindings/index.ts';
import { describeOnDouble } from './describe-on-double.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { Peer } from './peer.ts';
import { shmObjectsOf } from './shm-objects.ts';

const MAX_SIZE_BYTES = 100_000;

interface Step {
  readonly does: keyof Session;
  /** Which of those that were made so far: one for each kind of thing that a step needs. */
  readonly which: readonly [number, number];
  readonly deviceId: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Things of one run, disposed of or not, and the answers that are still to come. */
class Session {
  readonly #driver: CudaDriver;
  readonly #foreign: Uint8Array;
  readonly #memories: CudaBuffer[] = [];
  readonly #streams: CudaStream[] = [];
  readonly #events: CudaEvent[] = [];
  readonly #others: Disposable[] = [];
  readonly #answers: Promise<unknown>[] = [];

  constructor(driver: CudaDriver, foreign: Uint8Array) {
    this.#driver = driver;
    this.#foreign = foreign;
  }

  allocate({ deviceId, sizeBytes }: Step): void {
    this.#memories.push(this.#driver.allocate(deviceId, sizeBytes));
  }

  allocateAsync({ deviceId, sizeBytes }: Step): void {
    this.#later(this.#driver.allocateAsync(deviceId, sizeBytes), this.#memories);
  }

  adopt({ deviceId, offset, sizeBytes }: Step): void {
    this.#memories.push(this.#driver.adopt(deviceId, BigInt(Math.trunc(Math.abs(offset) || 0) % 2 ** 47), sizeBytes));
  }

  open({ deviceId, offset, sizeBytes }: Step): void {
    this.#memories.push(this.#driver.openHandle(deviceId, this.#foreign, { offsetBytes: offset, sizeBytes }));
  }

  openAsync({ deviceId, offset, sizeBytes }: Step): void {
    const part = { offsetBytes: offset, sizeBytes };
    this.#later(this.#driver.openHandleAsync(deviceId, this.#foreign, part), this.#memories);
  }

  copy({ which, offset, sizeBytes }: Step): void {
    this.#memory(which)?.write(offset, host(sizeBytes));
    this.#memory(which)?.read(offset, host(sizeBytes));
  }

  copyAsync({ which, offset, sizeBytes }: Step): void {
    this.#answer(this.#memory(which)?.writeAsync(offset, host(sizeBytes)));
    this.#answer(this.#memory(which)?.readAsync(offset, host(sizeBytes)));
  }

  fill({ which, offset, sizeBytes }: Step): void {
    this.#memory(which)?.fill(offset, sizeBytes, 7);
  }

  createStream({ deviceId }: Step): void {
    this.#streams.push(this.#driver.createStream(deviceId));
  }

  createEvent({ deviceId }: Step): void {
    this.#events.push(this.#driver.createEvent(deviceId));
  }

  stream({ which, offset, sizeBytes }: Step): void {
    const memory = this.#memory(which);
    if (memory === undefined) return;
    this.#stream(which)?.write(memory, offset, host(sizeBytes));
    this.#stream(which)?.read(memory, offset, host(sizeBytes));
  }

  order({ which }: Step): void {
    const event = pick(this.#events, which[1]);
    if (event === undefined) return;
    this.#stream(which)?.record(event);
    pick(this.#streams, which[1])?.waitFor(event);
    event.isReached();
    event.exportHandle();
  }

  wait({ which }: Step): void {
    this.#answer(this.#stream(which)?.synchronizeAsync());
    this.#answer(pick(this.#events, which[1])?.synchronizeAsync());
    this.#stream(which)?.isIdle();
  }

  pin({ sizeBytes }: Step): void {
    this.#others.push(this.#driver.registerHost(host(sizeBytes)));
  }

  disposeMemory({ which }: Step): void {
    this.#memory(which)?.[Symbol.dispose]();
  }

  disposeMemoryAsync({ which }: Step): void {
    this.#answer(this.#memory(which)?.[Symbol.asyncDispose]());
  }

  disposeStream({ which }: Step): void {
    this.#stream(which)?.[Symbol.dispose]();
  }

  disposeEvent({ which }: Step): void {
    pick(this.#events, which[1])?.[Symbol.dispose]();
  }

  async end(): Promise<void> {
    await Promise.all(this.#answers);
    for (const thing of [...this.#memories, ...this.#streams, ...this.#events, ...this.#others]) {
      thing[Symbol.dispose]();
      thing[Symbol.dispose]();
    }
  }

  #memory(which: Step['which']): CudaBuffer | undefined {
    return pick(this.#memories, which[0]);
  }

  #stream(which: Step['which']): CudaStream | undefined {
    return pick(this.#streams, which[0]);
  }

  #later<T>(made: Promise<T>, things: T[]): void {
    this.#answer(made.then((thing) => things.push(thing)));
  }

  #answer(answer: PromiseLike<unknown> | undefined): void {
    this.#answers.push(Promise.resolve(answer).catch(mustBeOurs));
  }
}

const pick = <T>(things: readonly T[], index: number): T | undefined => things[index % things.length];

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
  which: fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 })),
  deviceId: fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 1 }) }, { weight: 1, arbitrary: odd }),
  offset: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: size }),
  sizeBytes: size,
});

/** So that most steps find what they need. */
const beginning = (['allocate', 'createStream', 'createEvent'] as const).map(
  (does): Step => ({ does, which: [0, 0], deviceId: 0, offset: 0, sizeBytes: MAX_SIZE_BYTES }),
);

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
    await driver[Symbol.asyncDispose]();
  });

  test('with streams, events, pinned memory and its threads refuses with errors of ours and leaves nothing', async () => {
    const { handle } = await peer.allocate(0, MAX_SIZE_BYTES);
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 1, maxLength: 60 }), async (steps) => {
        const session = new Session(driver, handle);
        for (const step of [...beginning, ...steps]) {
          try {
            session[step.does](step);
          } catch (error) {
            mustBeOurs(error);
          }
        }
        await session.end();
        expect([shmObjectsOf(process.pid), mappedRegions()]).toEqual([[], 0]);
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});
