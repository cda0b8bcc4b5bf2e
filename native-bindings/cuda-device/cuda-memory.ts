import type { DeviceBuffer, DeviceDriver, DeviceMemory } from '../device-memory.ts';
import type { AllocationPart } from '../device-range.ts';

/** Memory of a CUDA device. Disposing gives it back, after what the device still does with it. */
export interface CudaBuffer extends DeviceBuffer {
  /** Sets every byte of a range to one value (`cudaMemset`). */
  fill(offset: number, lengthBytes: number, byte: number): void;
}

export type CudaMemory = CudaBuffer & DeviceMemory;

/** The CUDA runtime. What it allocates and opens is its holders' to dispose of. */
export interface CudaDriver extends DeviceDriver {
  readonly kind: 'cuda';
  /** The libcudart in use, as the loader was given it. */
  readonly libraryPath: string;
  /** Of libcudart: 13000 is 13.0. */
  readonly runtimeVersion: number;
  /** The newest CUDA that the driver serves: 12080 is 12.8. */
  readonly driverVersion: number;
  /** `domain:bus:device.function` in hexadecimal digits. */
  pciBusId(deviceId: number): string;
  memoryInfo(deviceId: number): { readonly freeBytes: number; readonly totalBytes: number };

  allocate(deviceId: number, sizeBytes: number): CudaMemory;
  /**
   * Memory that somebody else in this process allocated and frees, a tensor inside a pool for example. It can be exported as
   * long as it lives; disposing only forgets it.
   * @throws DeviceError unless all of it lies inside one allocation on this device
   */
  adopt(deviceId: number, address: bigint, sizeBytes: number): CudaMemory;
  openHandle(deviceId: number, handle: Uint8Array, part?: AllocationPart): CudaBuffer;
}
