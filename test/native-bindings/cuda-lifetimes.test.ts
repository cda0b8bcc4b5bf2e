import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CudaDriver } from '../../native-bindings/index.ts';
import { own } from '../support/own.ts';
import { bytesOf, refusal } from './cuda-driver-contract.ts';
import { describeOnDouble } from './describe-on-double.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { Gate } from './gate.ts';
import { shmObjectsOf } from './shm-objects.ts';

/** Time enough for whatever the thread has answered already. */
const manyTurns = async (): Promise<void> => {
  for (let turn = 0; turn < 1000; turn += 1) await setImmediate();
};

describeOnDouble('what the thread of a CUDA device still uses', () => {
  let driver: CudaDriver;
  let gate: Gate;

  beforeEach(() => {
    driver = createDoubleDriver();
    gate = new Gate();
  });

  afterEach(async () => {
    gate[Symbol.dispose]();
    await driver[Symbol.asyncDispose]();
    expect(shmObjectsOf(process.pid)).toEqual([]);
  });

  test('is memory, until its copy is there for everybody', async () => {
    const memory = await driver.allocateAsync(0, 1 << 20);
    const written = memory.writeAsync(0, bytesOf(1 << 20, 5));
    memory[Symbol.dispose]();
    await manyTurns();
    expect(shmObjectsOf(process.pid)).toHaveLength(1);
    gate.open();
    await written;
    expect(shmObjectsOf(process.pid)).toEqual([]);
  });

  test('is memory that is awaited: it is given back after its copies, by the thread, and then the wait ends', async () => {
    const memory = await driver.allocateAsync(0, 16);
    const written = memory.writeAsync(0, bytesOf(16, 6));
    let disposals = 0;
    const disposed = [memory[Symbol.asyncDispose](), memory[Symbol.asyncDispose]()].map((disposal) =>
      disposal.then(() => {
        disposals += 1;
      }),
    );
    memory[Symbol.dispose]();
    await manyTurns();
    expect([disposals, shmObjectsOf(process.pid).length]).toEqual([0, 1]);
    gate.open();
    await Promise.all([written, ...disposed]);
    expect(shmObjectsOf(process.pid)).toEqual([]);
  });

  test('is a stream, which the last wait destroys', async () => {
    const memory = driver.allocate(0, 16);
    const stream = driver.createStream(0);
    stream.write(memory, 0, bytesOf(16, 7));
    const waits = [stream.synchronizeAsync(), stream.synchronizeAsync()];
    stream[Symbol.dispose]();
    expect(() => stream.isIdle()).toThrow(refusal('cudaErrorInvalidResourceHandle'));
    gate.open();
    await Promise.all(waits);
    const actual = new Uint8Array(16);
    memory.read(0, actual);
    expect(actual).toEqual(bytesOf(16, 7));
    stream[Symbol.dispose]();
    memory[Symbol.dispose]();
  });

  test('is an event, which the last wait destroys', async () => {
    const event = driver.createEvent(0);
    const waits = [event.synchronizeAsync(), event.synchronizeAsync()];
    event[Symbol.dispose]();
    expect(() => event.isReached()).toThrow(refusal('cudaErrorInvalidResourceHandle'));
    gate.open();
    await Promise.all(waits);
    event[Symbol.dispose]();
  });

  test('is nothing after the driver was disposed of during a copy, and no other thread was begun', async () => {
    const memory = driver.allocate(0, 1 << 20);
    const posted = vi.spyOn(Worker.prototype, 'postMessage');
    const written = memory.writeAsync(0, bytesOf(1 << 20, 8));
    const disposed = driver[Symbol.asyncDispose]();
    gate.open();
    await Promise.all([written, disposed]);
    expect(new Set(posted.mock.contexts).size).toBe(1);
    posted.mockRestore();
    memory[Symbol.dispose]();
  });
});

describeOnDouble('the thread of a CUDA device that fails', () => {
  let driver: CudaDriver;

  beforeEach(() => {
    driver = createDoubleDriver();
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    await driver[Symbol.asyncDispose]();
  });

  test('to set its device says so in the words of CUDA, and tries again', async () => {
    vi.stubEnv('CUDA_DOUBLE_DEVICES', '1');
    await expect(driver.synchronizeAsync(1)).rejects.toMatchObject({
      name: 'DeviceError',
      code: 'cudaErrorInvalidDevice',
      call: 'cudaSetDevice',
    });
    vi.unstubAllEnvs();
    await driver.synchronizeAsync(1);
  });

  test('by ending fails what it was asked, and another one takes its place', async () => {
    const gate = own(new Gate());
    const posted = vi.spyOn(Worker.prototype, 'postMessage');
    const [first, second] = [driver.synchronizeAsync(0), driver.synchronizeAsync(0)];
    const ended = (posted.mock.contexts[0] as Worker).terminate();
    gate.open();
    const outcomes = await Promise.allSettled([first, second, ended]);
    expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { message: 'the thread of device 0 has ended' } });
    await driver.synchronizeAsync(0);
    expect(new Set(posted.mock.contexts).size).toBe(2);
  });
});
