import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { cudaDouble, noCompiler } from '../native-bindings/cuda-double/build.ts';
import { shmObjects } from '../native-bindings/shm-objects.ts';
import { within } from '../support/within.ts';
import { startCommand } from './demo-process.ts';

/** Makes the stand-in what the loader finds by the names of CUDA's libraries. */
const installDouble = (): void => {
  const folder = mkdtempSync(join(tmpdir(), 'pegaflow-cuda-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  symlinkSync(cudaDouble(), join(folder, 'libcudart.so.13'));
  symlinkSync(cudaDouble(), join(folder, 'libcuda.so.1'));
  vi.stubEnv('LD_LIBRARY_PATH', folder);
  vi.stubEnv('CUDA_DOUBLE_MEMORY_BYTES', String(2 ** 30));
};

/** Memory of the stand-in whose process is gone; what other tests hold at the moment is theirs. */
const leftOver = () =>
  shmObjects().filter((name) => {
    const [, pid] = /^pegaflow_test_(\d+)_cuda/.exec(name) ?? [];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });

const demoOnCuda = (...args: string[]) => {
  const command = startCommand('demo', '--device', 'cuda', '--json', ...args);
  onTestFinished(() => void command.child.kill('SIGKILL'));
  return within(50_000, 'the demo', command.ended);
};

describe('the demo with --device cuda', { timeout: 60_000 }, () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('serves every request with the right bytes through a kill of the engine, and leaves no memory', async ({
    skip,
  }) => {
    if (noCompiler !== null) skip(noCompiler);
    installDouble();
    const before = leftOver();
    const { code, stdout, stderr } = await demoOnCuda('--restarts', '1', '--requests', '40', '--outage-ms', '100');
    expect([code, stderr.includes('libcudart')]).toEqual([0, false]);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
    expect(leftOver().filter((name) => !before.includes(name))).toEqual([]);
  });

  test('says what is missing where there is no GPU', async () => {
    vi.stubEnv('PEGAFLOW_CUDART', '/nowhere/libcudart.so.13');
    const { code, stderr } = await demoOnCuda();
    expect([code, stderr]).toEqual([expect.any(Number), expect.stringContaining('(noLibrary): no usable libcudart')]);
    expect(code).not.toBe(0);
  });

  test('needs a device for each rank', async ({ skip }) => {
    if (noCompiler !== null) skip(noCompiler);
    installDouble();
    expect((await demoOnCuda('--ranks', '3')).stderr).toContain('3 ranks need as many devices, there are 2');
  });
});
