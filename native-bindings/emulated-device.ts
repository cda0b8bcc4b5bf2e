import { randomBytes } from 'node:crypto';
import { creatorState, ownStamp } from './creator-stamp.ts';
import { DeviceError } from './device-error.ts';
import type { DeviceDriver, DeviceMemory, MappedMemory } from './device-memory.ts';
import { type AllocationPart, checkRange, checkSize } from './device-range.ts';
import { EmulatedBuffer, EmulatedMemory } from './emulated-device/buffer.ts';
import { decodeHandle, type Segment, segmentNameOf } from './emulated-device/handle.ts';
import { ShmError } from './posix-shm/check.ts';
import { SharedMemory } from './posix-shm/shared-memory.ts';

export interface EmulatedDriverOptions {
  /** How many devices to pretend; default 8, as in one server of the usual make. */
  readonly deviceCount?: number;
}

/**
 * Device memory without a device: each allocation is a shared-memory segment, and a handle carries what is needed to find it.
 * The refusals are CUDA's, under its names: opening in the exporting process, after the exporter freed the memory or ended,
 * a handle of another length, origin or device, a copy out of range. Opening a handle twice is allowed, as there, and what is
 * mapped stays valid until it is disposed, whatever the exporter does. Fresh memory is zero, which CUDA does not promise.
 * A killed process leaves its segments in `/dev/shm` until somebody sweeps them.
 */
export function createEmulatedDriver(options: EmulatedDriverOptions = {}): DeviceDriver {
  const { deviceCount = 8 } = options;
  if (!Number.isInteger(deviceCount) || deviceCount < 1)
    throw new RangeError(`deviceCount is ${deviceCount}, not 1 or more`);

  const checkDevice = (call: string, deviceId: number): void => {
    if (Number.isInteger(deviceId) && deviceId >= 0 && deviceId < deviceCount) return;
    throw new DeviceError('cudaErrorInvalidDevice', call, `no device ${deviceId} among ${deviceCount}`);
  };

  return {
    kind: 'emulated',
    deviceCount: () => deviceCount,
    deviceUuid(deviceId) {
      checkDevice('cudaGetDeviceProperties', deviceId);
      return `00000000-0000-4000-8000-${deviceId.toString(16).padStart(12, '0')}`;
    },
    allocate(deviceId, sizeBytes) {
      checkDevice('cudaMalloc', deviceId);
      return allocateSegment(deviceId, sizeBytes);
    },
    openHandle(deviceId, handle, part) {
      checkDevice('cudaIpcOpenMemHandle', deviceId);
      return openSegment(deviceId, decodeHandle(handle), part);
    },
  };
}

function allocateSegment(deviceId: number, sizeBytes: number): DeviceMemory {
  checkSize('cudaMalloc', sizeBytes);
  const segment: Segment = { deviceId, sizeBytes, creator: ownStamp(), random: randomBytes(16) };
  try {
    return new EmulatedMemory(segment, SharedMemory.create(segmentNameOf(segment), sizeBytes));
  } catch (error) {
    if (!(error instanceof ShmError)) throw error;
    throw new DeviceError('cudaErrorMemoryAllocation', 'cudaMalloc', error.message, { cause: error });
  }
}

function openSegment(deviceId: number, segment: Segment, part: AllocationPart | undefined): MappedMemory {
  const refuse = (code: DeviceError['code'], detail: string, cause?: unknown): DeviceError =>
    new DeviceError(code, 'cudaIpcOpenMemHandle', detail, { cause });

  if (segment.creator === ownStamp()) {
    throw refuse('cudaErrorDeviceUninitialized', 'a handle cannot be opened in the process that exported it');
  }
  if (segment.deviceId !== deviceId) {
    const detail = `memory of device ${segment.deviceId} cannot be opened on device ${deviceId}`;
    throw refuse('cudaErrorPeerAccessUnsupported', detail);
  }
  if (creatorState(segment.creator) === 'gone') {
    throw refuse('cudaErrorInvalidValue', 'the process that exported the memory has ended');
  }
  if (part !== undefined) {
    checkSize('cudaIpcOpenMemHandle', part.sizeBytes);
    checkRange('cudaIpcOpenMemHandle', part.offsetBytes, part.sizeBytes, segment.sizeBytes);
  }
  const name = segmentNameOf(segment);
  try {
    return new EmulatedBuffer(segment, SharedMemory.open(name, { minSizeBytes: segment.sizeBytes }), part);
  } catch (error) {
    if (!(error instanceof ShmError)) throw error;
    if (error.code === 'ENOENT') throw refuse('cudaErrorInvalidValue', 'the memory has been freed', error);
    throw refuse('cudaErrorInvalidResourceHandle', error.message, error);
  }
}
