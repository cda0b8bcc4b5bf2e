import type { Out, Pointer, Reserved } from '../cudart/calls.ts';
import { check } from '../cudart/check.ts';
import { cudaIpcMemLazyEnablePeerAccess, cudaMemoryTypeDevice } from '../cudart/declarations.ts';
import type { Cudart } from '../cudart/library.ts';
import { DeviceError } from '../device-error.ts';
import { IPC_HANDLE_SIZE_BYTES } from '../device-memory.ts';
import { type AllocationPart, checkRange, checkSize } from '../device-range.ts';
import { CudaMemoryAt, CudartBuffer, type Release } from './buffer.ts';
import type { CudaDevice } from './device.ts';

/** @throws DeviceError `cudaErrorInvalidValue` for another length than 64, which koffi would pad or cut without a word */
function reservedFrom(call: string, handle: Uint8Array): Reserved {
  if (handle.length === IPC_HANDLE_SIZE_BYTES) return { reserved: Uint8Array.from(handle) };
  const detail = `a handle has ${IPC_HANDLE_SIZE_BYTES} bytes, this one ${handle.length}`;
  throw new DeviceError('cudaErrorInvalidValue', call, detail);
}

export function openMapping(device: CudaDevice, handle: Uint8Array, part: AllocationPart | undefined): CudartBuffer {
  const call = 'cudaIpcOpenMemHandle';
  const reserved = reservedFrom(call, handle);
  const runtime = device.selected();
  const opened: Out<Pointer | null> = [null];
  check(runtime, runtime.cudaIpcOpenMemHandle(opened, reserved, cudaIpcMemLazyEnablePeerAccess), call);
  return mappingOf(device, opened, part);
}

/** @throws DeviceError unless all of it lies inside one allocation of this process on this device */
export function adoptMemory(device: CudaDevice, address: bigint, sizeBytes: number): CudaMemoryAt {
  const call = 'cudaPointerGetAttributes';
  checkSize(call, sizeBytes);
  const runtime = device.selected();
  const attributes = { type: 0, device: -1 };
  check(runtime, runtime.cudaPointerGetAttributes(attributes, address), call);
  if (attributes.type !== cudaMemoryTypeDevice || attributes.device !== device.deviceId) {
    const detail = `0x${address.toString(16)} is no memory of device ${device.deviceId}`;
    throw new DeviceError('cudaErrorInvalidValue', call, detail);
  }
  const allocation = allocationAround(device.cudart, address);
  const offsetBytes = Number(address - allocation.base);
  checkRange('cuMemGetAddressRange', offsetBytes, sizeBytes, allocation.sizeBytes);
  return new CudaMemoryAt(device, allocation.base, offsetBytes, sizeBytes, null);
}

/** The driver knows how large the mapping is; small allocations of one process share one, and the pointer is inside. */
function mappingOf(device: CudaDevice, [pointer]: Out<Pointer | null>, part: AllocationPart | undefined): CudartBuffer {
  const call = 'cudaIpcOpenMemHandle';
  if (pointer === null) throw new DeviceError('cudaErrorMapBufferObjectFailed', call, 'answered a null pointer');
  const release: Release = { call: 'cudaIpcCloseMemHandle', pointer };
  try {
    device.selected();
    const mapping = allocationAround(device.cudart, pointer);
    const usableBytes = mapping.sizeBytes - Number(pointer - mapping.base);
    const { offsetBytes, sizeBytes } = part ?? { offsetBytes: 0, sizeBytes: usableBytes };
    checkSize(call, sizeBytes);
    checkRange(call, offsetBytes, sizeBytes, usableBytes);
    return new CudartBuffer(device, pointer + BigInt(offsetBytes), sizeBytes, release);
  } catch (error) {
    new CudartBuffer(device, pointer, 0, release)[Symbol.dispose]();
    throw error;
  }
}

/** The runtime has no call for this. The device's context must be current, as any earlier call on it made it. */
function allocationAround({ runtime, driver }: Cudart, address: Pointer): { base: Pointer; sizeBytes: number } {
  const base: Out<number | bigint> = [0];
  const size: Out<number | bigint> = [0];
  check(runtime, driver.cuMemGetAddressRange_v2(base, size, address), 'cuMemGetAddressRange_v2');
  return { base: BigInt(base[0]), sizeBytes: Number(size[0]) };
}
