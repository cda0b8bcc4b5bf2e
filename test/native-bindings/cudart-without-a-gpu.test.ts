import { describe, expect, test } from 'vitest';
import type { Out, RuntimeCalls } from '../../native-bindings/cudart/calls.ts';
import { cudartCandidates } from '../../native-bindings/cudart/candidates.ts';
import { runtimePrototypes } from '../../native-bindings/cudart/declarations.ts';
import { bindRuntime } from '../../native-bindings/cudart/library.ts';
import { type CudaUnavailableError, createCudaDriver } from '../../native-bindings/index.ts';

const loaded = (): { readonly path: string; readonly runtime: RuntimeCalls } | null => {
  for (const path of cudartCandidates(undefined, process.env)) {
    try {
      return { path, runtime: bindRuntime(path) };
    } catch {}
  }
  return null;
};

const cudart = loaded();
const noLibrary = 'libcudart 12 or 13 is not installed';

describe('the libcudart that is installed here', () => {
  test('has every function that is declared', ({ skip }) => {
    if (cudart === null) return skip(noLibrary);
    expect(Object.keys(cudart.runtime)).toEqual(Object.keys(runtimePrototypes));
  });

  test('is of CUDA 12 or 13 and names its errors as we do', ({ skip }) => {
    if (cudart === null) return skip(noLibrary);
    const version: Out<number> = [0];
    expect(cudart.runtime.cudaRuntimeGetVersion(version)).toBe(0);
    expect(Math.floor(version[0] / 1000)).toBeOneOf([12, 13]);
    const names = [1, 2, 34, 35, 100, 101, 201, 205, 400].map((code) => cudart.runtime.cudaGetErrorName(code));
    expect(names).toEqual([
      'cudaErrorInvalidValue',
      'cudaErrorMemoryAllocation',
      'cudaErrorStubLibrary',
      'cudaErrorInsufficientDriver',
      'cudaErrorNoDevice',
      'cudaErrorInvalidDevice',
      'cudaErrorDeviceUninitialized',
      'cudaErrorMapBufferObjectFailed',
      'cudaErrorInvalidResourceHandle',
    ]);
  });

  test('says without a driver what is missing, through every call and without a crash', ({ skip }) => {
    if (cudart === null) return skip(noLibrary);
    const { path, runtime } = cudart;
    const count: Out<number> = [0];
    const code = runtime.cudaGetDeviceCount(count);
    if (code === 0) return skip('there is a GPU here');
    expect(code).toBeOneOf([35, 100]);
    expect(runtime.cudaMalloc([null], 16)).toBe(code);
    expect(runtime.cudaIpcOpenMemHandle([null], { reserved: new Uint8Array(64) }, 1)).toBe(code);
    expect(() => createCudaDriver({ libraryPath: path })).toThrow(
      expect.objectContaining<Partial<CudaUnavailableError>>({
        name: 'CudaUnavailableError',
        reason: code === 100 ? 'noDevice' : 'noDriver',
      }),
    );
  });
});
