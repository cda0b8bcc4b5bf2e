import { createCudaDriver, createEmulatedDriver, type DeviceDriver } from '../../native-bindings/index.ts';
import { cudaDouble } from './cuda-double/build.ts';

/** The drivers that the contract suite knows how to make, here and in the process of a peer. */
export const deviceDrivers = {
  emulated: () => createEmulatedDriver(),
  /** The CUDA driver on the stand-in for libcudart. */
  'CUDA double': () => createDoubleDriver(),
  'CUDA runtime': () => createCudaDriver(),
} satisfies Record<string, () => DeviceDriver>;

export type DriverKind = keyof typeof deviceDrivers;

export function createDoubleDriver() {
  const library = cudaDouble();
  return createCudaDriver({ libraryPath: library, driverLibraryPath: library });
}
