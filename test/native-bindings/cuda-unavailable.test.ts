import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CudaUnavailableError, createCudaDriver } from '../../native-bindings/index.ts';
import { cudaDouble, noCompiler } from './cuda-double/build.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** The header of a shared library of 32-bit MIPS, which no machine of ours is. */
const foreignLibrary = (): Uint8Array => {
  const header = new Uint8Array(4096);
  header.set([0x7f, 0x45, 0x4c, 0x46, 1, 2, 1]);
  header.set([0, 3, 0, 8, 0, 0, 0, 1], 16);
  return header;
};

const refusal = (make: () => unknown): CudaUnavailableError => {
  try {
    make();
  } catch (error) {
    if (error instanceof CudaUnavailableError) return error;
    throw error;
  }
  throw new Error('a driver was made');
};

describe('asking for CUDA where it is not to be had', () => {
  test('a library that does not load is named, with the reason of the loader', () => {
    const { reason, message } = refusal(() => createCudaDriver({ libraryPath: '/nowhere/libcudart.so.13' }));
    expect(reason).toBe('noLibrary');
    expect(message).toContain('no usable libcudart of CUDA 12 or 13 (tried /nowhere/libcudart.so.13: ');
    expect(message).toContain('cannot open shared object file');
  });

  test('a folder, a text and a library of another architecture are no libraries, and each says why', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pegaflow-cudart-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const text = join(folder, 'text.so');
    writeFileSync(text, 'no library');
    const foreign = join(folder, 'foreign.so');
    writeFileSync(foreign, foreignLibrary());
    const said = [folder, text, foreign].map((path) => refusal(() => createCudaDriver({ libraryPath: path })));
    expect(said.map(({ reason, message }) => [reason, message])).toEqual([
      ['noLibrary', expect.stringContaining(`${folder}: `)],
      ['noLibrary', expect.stringMatching(/text\.so: .*(file too short|invalid ELF header)/)],
      ['noLibrary', expect.stringMatching(/foreign\.so: .*(wrong ELF class|cannot open shared object file)/)],
    ]);
  });

  test('PEGAFLOW_CUDART is obeyed, also where it names nothing', () => {
    const environment = { PEGAFLOW_CUDART: '/nowhere/else.so' };
    expect(refusal(() => createCudaDriver({ environment })).message).toContain('/nowhere/else.so');
  });

  test('a library that lacks a function is not taken for libcudart', () => {
    const { reason, message } = refusal(() => createCudaDriver({ libraryPath: 'libc.so.6' }));
    expect([reason, message]).toEqual([
      'noLibrary',
      expect.stringContaining("libc.so.6: Cannot find function 'cudaRuntimeG"),
    ]);
  });

  const onDouble = (settings: Readonly<Record<string, string>>): CudaUnavailableError => {
    for (const [name, value] of Object.entries(settings)) vi.stubEnv(`CUDA_DOUBLE_${name}`, value);
    const library = cudaDouble();
    return refusal(() => createCudaDriver({ libraryPath: library, driverLibraryPath: library }));
  };

  test.for<[string, Readonly<Record<string, string>>, CudaUnavailableError['reason'], RegExp]>([
    ['no driver', { DRIVER_VERSION: '0' }, 'noDriver', /cudaErrorInsufficientDriver, 35/],
    ["only the toolkit's stub of a driver", { INIT_ERROR: '34' }, 'noDriver', /cudaErrorStubLibrary, 34/],
    [
      'a driver that is too old',
      { DRIVER_VERSION: '12080' },
      'driverTooOld',
      /the driver serves CUDA 12\.8, .* needs 13\.0/,
    ],
    ['no device', { INIT_ERROR: '100' }, 'noDevice', /cudaErrorNoDevice, 100/],
    ['a driver of another version', { INIT_ERROR: '803' }, 'driverFailed', /cudaErrorSystemDriverMismatch, 803/],
    [
      'a driver that cannot even say its version',
      { VERSION_ERROR: '999', INIT_ERROR: '803' },
      'driverFailed',
      /cudaErrorSystemDriverMismatch, 803/,
    ],
    ['a failure without a name', { INIT_ERROR: '99999' }, 'driverFailed', /cudaErrorUnknown, 99999/],
    ['a library of CUDA 11', { RUNTIME_VERSION: '11080' }, 'noLibrary', /is of CUDA 11\.8/],
    ['a library of CUDA 14', { RUNTIME_VERSION: '14000' }, 'noLibrary', /is of CUDA 14\.0/],
  ])('%s is told apart', ([, settings, reason, message], { skip }) => {
    if (noCompiler) skip(noCompiler);
    const error = onDouble(settings);
    expect([error.reason, error.message]).toEqual([reason, expect.stringMatching(message)]);
  });

  test('a driver library that does not load is named', ({ skip }) => {
    if (noCompiler) skip(noCompiler);
    const make = () => createCudaDriver({ libraryPath: cudaDouble(), driverLibraryPath: '/nowhere/libcuda.so.1' });
    const { reason, message } = refusal(make);
    expect([reason, message]).toEqual(['driverFailed', expect.stringContaining('/nowhere/libcuda.so.1: ')]);
  });

  test('a library that the driver is too old for is passed over for one that it can serve', ({ skip }) => {
    if (noCompiler) skip(noCompiler);
    const root = mkdtempSync(join(tmpdir(), 'pegaflow-cudart-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    const older = join(root, 'lib64/libcudart.so.12');
    const newer = join(root, 'lib64/libcudart.so.13');
    mkdirSync(join(root, 'lib64'));
    copyFileSync(cudaDouble(), newer);
    copyFileSync(cudaDouble(['-DRUNTIME_VERSION=12080']), older);
    const make = () => createCudaDriver({ driverLibraryPath: older, environment: { CUDA_HOME: root } });
    expect(make().libraryPath).toBe(newer);
    vi.stubEnv('CUDA_DOUBLE_DRIVER_VERSION', '12090');
    const { libraryPath, runtimeVersion, driverVersion } = make();
    expect([libraryPath, runtimeVersion, driverVersion]).toEqual([older, 12_080, 12_090]);
  });
});
