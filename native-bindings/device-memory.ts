/**
 * Device memory as the connector and the engine see it, in CUDA's words. Two drivers implement it: the CUDA runtime
 * and an emulation on POSIX shared memory with the same calls, the same 64-byte handle and the same refusals.
 */
import type { AllocationPart } from './device-range.ts';

/** Length of a `cudaIpcMemHandle_t` in bytes (`CUDA_IPC_HANDLE_SIZE`, driver_types.h). */
export const IPC_HANDLE_SIZE_BYTES = 64;

/** Bytes on a device. Every range is checked before the copy; use after `dispose` is an error of ours, not a crash. */
export interface DeviceBuffer extends Disposable {
  readonly deviceId: number;
  readonly sizeBytes: number;
  /** Device to host: fills `target` with the bytes from `offset` on. */
  read(offset: number, target: Uint8Array): void;
  /** Host to device: writes all of `source` from `offset` on. */
  write(offset: number, source: Uint8Array): void;
}

/** Memory of this process (`cudaMalloc`). Disposing frees it, unless it was adopted. */
export interface DeviceMemory extends DeviceBuffer {
  /** Where it begins in the allocation that its handle names: 0, unless it was adopted from the middle of one. */
  readonly offsetBytes: number;
  /** Names the whole allocation for another process (`cudaIpcGetMemHandle`): {@link IPC_HANDLE_SIZE_BYTES} bytes. */
  exportHandle(): Uint8Array;
}

/** Memory of another process, mapped here (`cudaIpcOpenMemHandle`). Disposing closes the mapping, never frees. */
export type MappedMemory = DeviceBuffer;

export interface DeviceDriver {
  readonly kind: 'emulated' | 'cuda';
  deviceCount(): number;
  /** UUID of a device as `nvidia-smi` writes it, without the `GPU-` prefix. */
  deviceUuid(deviceId: number): string;
  allocate(deviceId: number, sizeBytes: number): DeviceMemory;
  /**
   * Fails in the process that exported the handle, and when the exporter has freed the memory or is gone.
   * @param part what of the allocation is wanted; default: all of it, which on CUDA may be a little more than was asked for
   */
  openHandle(deviceId: number, handle: Uint8Array, part?: AllocationPart): MappedMemory;
}
