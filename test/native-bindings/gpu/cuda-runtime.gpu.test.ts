import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createCudaDriver, TorchRefCounters } from '../../../native-bindings/index.ts';
import { encodeIpcWrapper, torchWrapperOf } from '../../../src/index.ts';
import { startCommand } from '../../stories/demo-process.ts';
import { noCompiler } from '../cuda-double/build.ts';
import { describeCudaDriver } from '../cuda-driver-contract.ts';
import { describeDeviceDriver } from '../device-driver-contract.ts';
import { deviceDrivers } from '../device-drivers.ts';
import { describeSharing } from '../device-sharing.ts';
import { copyTimesOf, copyTimesOfC } from './copy-rate.ts';
import { isGpuRequired, noGpu } from './require-gpu.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const report = (figure: string): void => console.log(figure);
const reason = noGpu();

if (reason !== null) {
  test('the CUDA driver on a GPU', ({ skip }) => skip(reason));
} else {
  describeDeviceDriver('CUDA runtime', deviceDrivers['CUDA runtime']);
  describeCudaDriver('CUDA runtime', createCudaDriver);
  const sizesBytes = [KIB, 64 * KIB, 2 * MIB];
  const whole = { sizesBytes: [...sizesBytes, GIB], replays: 100, report };
  const extent = isGpuRequired ? whole : { sizesBytes, replays: 3 };
  describeSharing('CUDA runtime', createCudaDriver, extent);
}

if (reason === null && isGpuRequired) {
  describe('the CUDA runtime', { timeout: 300_000 }, () => {
    const driver = createCudaDriver();
    const { libraryPath, runtimeVersion, driverVersion } = driver;
    report(
      `${libraryPath} ${runtimeVersion}, driver ${driverVersion}, device 0 ${driver.deviceUuid(0)} of ${driver.deviceCount()}`,
    );

    test('the demo serves every request with the right bytes while the engine is killed', async () => {
      const flags = ['--device', 'cuda', '--ranks', '1', '--restarts', '5', '--requests', '200', '--json'];
      const command = startCommand('demo', ...flags);
      onTestFinished(() => void command.child.kill('SIGKILL'));
      const { code, stdout } = await command.ended;
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ ok: true });
    });

    test('a wrapper of ours is opened by real torch, which sees and changes the same bytes', ({ skip }) => {
      const python = process.env['PYTHON'] ?? 'python3';
      const hasTorch = spawnSync(python, ['-c', 'import torch; assert torch.cuda.is_available()']).status === 0;
      if (!hasTorch) skip(`${python} has no torch with CUDA`);
      const sizeBytes = 4 * MIB;
      const memory = driver.allocate(0, sizeBytes);
      memory.fill(0, sizeBytes, 41);
      const counters = TorchRefCounters.create();
      const slot = counters.take();
      const wrapper = torchWrapperOf({
        deviceIndex: 0,
        deviceUuid: driver.deviceUuid(0),
        handle: memory.exportHandle(),
        offsetBytes: memory.offsetBytes,
        sizeBytes,
        dtype: 'bfloat16',
        shape: [2, MIB],
        stride: [MIB, 1],
        refCounter: { file: counters.file, slot },
      });
      const input = JSON.stringify({ wrapper: Buffer.from(encodeIpcWrapper(wrapper)).toString('base64'), byte: 41 });
      const script = fileURLToPath(new URL('./open_with_torch.py', import.meta.url));
      const { torch, ...opened } = JSON.parse(execFileSync(python, [script], { input, encoding: 'utf8' }));
      expect(opened).toEqual({ shape: [2, MIB], sizeBytes });
      const [major = 0, minor = 0] = String(torch).split('.').map(Number);
      expect(major * 100 + minor).toBeGreaterThanOrEqual(205);
      const bytes = new Uint8Array(sizeBytes);
      memory.read(0, bytes);
      expect(bytes.every((byte) => byte === 42)).toBe(true);
      expect(counters.value(slot)).toBe(0);
      counters[Symbol.dispose]();
      memory[Symbol.dispose]();
    });

    test.each([
      [2 * MIB, 1000],
      [64 * MIB, 50],
      [GIB, 5],
    ])('%d bytes are copied at 0.95 of the rate of a C program or better', (size, rounds) => {
      if (noCompiler !== null) throw new Error(noCompiler);
      const ofC = copyTimesOfC(driver.libraryPath, size, rounds);
      const ours = copyTimesOf(driver, size, rounds);
      const rate = (ns: number): string => `${(size / ns).toFixed(1)} GB/s`;
      report(
        `${size} bytes: to the device ${rate(ours.toDeviceNs)} (C ${rate(ofC.toDeviceNs)}), back ${rate(ours.toHostNs)} (C ${rate(ofC.toHostNs)})`,
      );
      expect(ofC.toDeviceNs / ours.toDeviceNs).toBeGreaterThanOrEqual(0.95);
      expect(ofC.toHostNs / ours.toHostNs).toBeGreaterThanOrEqual(0.95);
    });
  });
}
