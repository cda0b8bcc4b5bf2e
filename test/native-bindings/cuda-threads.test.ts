import { execFile } from 'node:child_process';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bindRuntime } from '../../native-bindings/cudart/library.ts';
import type { CudaBuffer, CudaDriver } from '../../native-bindings/index.ts';
import { own } from '../support/own.ts';
import { cudaDouble } from './cuda-double/build.ts';
import { describeOnDouble } from './describe-on-double.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { Gate } from './gate.ts';
import { shmObjectsOf } from './shm-objects.ts';

/** Asks CUDA where memory really is. The address is nobody's business but the driver's, and this test's. */
const deviceHolding = (memory: CudaBuffer): number => {
  const { address } = memory as unknown as { readonly address: bigint };
  const attributes = { type: 0, device: -1 };
  expect(bindRuntime(cudaDouble()).cudaPointerGetAttributes(attributes, address)).toBe(0);
  return attributes.device;
};

/** Another process, which has a driver. */
const runScript = async (script: string): Promise<{ readonly status: unknown; readonly stdout: string }> => {
  const module = new URL('../../native-bindings/index.ts', import.meta.url).href;
  const whole = `
    import { createCudaDriver } from '${module}';
    const [libraryPath] = process.argv.slice(1);
    const driver = createCudaDriver({ libraryPath, driverLibraryPath: libraryPath });
    ${script}`;
  const args = ['--input-type=module', '--eval', whole, cudaDouble()];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 25_000 }, (error, stdout) =>
      resolve({ status: error === null ? 0 : (error.code ?? error.signal), stdout }),
    );
  });
};

describeOnDouble('the thread of a CUDA device', () => {
  let driver: CudaDriver;

  beforeEach(() => {
    driver = createDoubleDriver();
  });

  afterEach(async () => {
    await driver[Symbol.asyncDispose]();
  });

  test('waits for the device while the event loop goes on', async () => {
    const gate = own(new Gate());
    let isDone = false;
    const waited = driver.synchronizeAsync(0).then(() => {
      isDone = true;
    });
    // The call returns only after the loop has turned and got to the line that opens the gate.
    for (let turn = 0; turn < 1000; turn += 1) await setImmediate();
    expect(isDone).toBe(false);
    gate.open();
    await waited;
    expect(isDone).toBe(true);
  });

  test('S-29 a device that was set holds for every call, whatever other threads set meanwhile', async () => {
    const expected = Array.from({ length: 40 }, (_, i) => i % 2);
    const allocated = await Promise.all(
      expected.map((deviceId) => {
        driver.synchronize(1 - deviceId);
        return driver.allocateAsync(deviceId, 16);
      }),
    );
    expect(allocated.map(deviceHolding)).toEqual(expected);
    for (const memory of allocated) await memory[Symbol.asyncDispose]();
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

  test('calls that are under way when the driver is disposed of are done first', async () => {
    const memory = driver.allocateAsync(0, 16);
    const copied = memory.then(async (allocated) => {
      const bytes = new Uint8Array(16);
      allocated.read(0, bytes);
      allocated[Symbol.dispose]();
      return bytes.length;
    });
    await driver[Symbol.asyncDispose]();
    expect(await copied).toBe(16);
    expect(shmObjectsOf(process.pid)).toEqual([]);
  });

  test('a process that used it ends by itself', async () => {
    const { status, stdout } = await runScript(`
      await driver.synchronizeAsync(1);
      console.log('done');`);
    expect([status, stdout]).toEqual([0, 'done\n']);
  });

  test('a process that is told to end while copies are under way does so, and leaves nothing', async () => {
    const { status, stdout } = await runScript(`
      console.log(process.pid);
      const memory = await driver.allocateAsync(0, 1 << 26);
      const bytes = new Uint8Array(1 << 26);
      for (let i = 0; i < 20; i += 1) void memory.writeAsync(0, bytes);
      setImmediate(() => process.exit(3));`);
    expect([status, shmObjectsOf(Number(stdout))]).toEqual([3, []]);
  });
});
