import { createCudaDriver, createEmulatedDriver, type DeviceDriver } from '../native-bindings/index.ts';

/** What device memory a process uses: that of CUDA, or its emulation on shared memory. */
export const DEVICE_KINDS = ['emulated', 'cuda'] as const;

export type DeviceKind = (typeof DEVICE_KINDS)[number];

/** @throws CudaUnavailableError where CUDA was asked for and is not to be had */
export function deviceDriverOf(kind: DeviceKind): DeviceDriver {
  return kind === 'cuda' ? createCudaDriver() : createEmulatedDriver({ deviceCount: EMULATED_DEVICES });
}

/** As many as the demo may have ranks. */
const EMULATED_DEVICES = 64;
