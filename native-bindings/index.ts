/** Device memory, shared memory, threads and process exit, behind wrappers that own what they hold. No pointer leaves this folder. */
export { type CudaDriverOptions, createCudaDriver } from './cuda-device/cuda-driver.ts';
export type { CudaBuffer, CudaDriver, CudaMemory } from './cuda-device/cuda-memory.ts';
export { CudaUnavailableError, type CudaUnavailableReason } from './cudart/cuda-unavailable-error.ts';
export { DeviceError, type DeviceErrorCode } from './device-error.ts';
export {
  type DeviceBuffer,
  type DeviceDriver,
  type DeviceMemory,
  IPC_HANDLE_SIZE_BYTES,
  type MappedMemory,
} from './device-memory.ts';
export type { AllocationPart } from './device-range.ts';
export { segmentOfHandle } from './emulated-device/handle.ts';
export { createEmulatedDriver, type EmulatedDriverOptions } from './emulated-device.ts';
export { LoadState, LoadStateError } from './load-state.ts';
export { type ProcessExitWatch, ProcessWatchError, watchProcessExit } from './pidfd/process-exit.ts';
export { ShmError } from './posix-shm/check.ts';
export { SharedMemory } from './posix-shm/shared-memory.ts';
export { ParkedThread, ThreadError } from './pthread/parked-thread.ts';
export { sweepLoadRecords, sweepSharedMemory } from './sweep.ts';
export { SystemCallError } from './system-call-error.ts';
export { TORCH_REF_COUNTER_SLOTS, TorchRefCounters } from './torch-ref-counters.ts';
