import type { Out, Pointer } from '../cudart/calls.ts';
import { check } from '../cudart/check.ts';
import { type Cudart, type CudartOptions, openCudart } from '../cudart/library.ts';
import { DeviceError } from '../device-error.ts';
import { checkSize } from '../device-range.ts';
import { CudaMemoryAt } from './buffer.ts';
import type { CudaDriver } from './cuda-memory.ts';
import { CudaDevice } from './device.ts';
import { adoptMemory, openMapping } from './mapping.ts';

export type CudaDriverOptions = CudartOptions;

/** `cudaDeviceGetPCIBusId` asks for 13 bytes or more: `0000:00:00.0` and a NUL. */
const PCI_BUS_ID_SIZE_BYTES = 16;

/**
 * Finds libcudart, loads it and makes sure that there is a device. Nothing is loaded before this call.
 * @throws CudaUnavailableError which says what is missing and what was tried
 */
export function createCudaDriver(options: CudaDriverOptions = {}): CudaDriver {
  const cudart = openCudart(options);
  const { runtime, deviceCount } = cudart;
  const devices = Array.from({ length: deviceCount }, (_, deviceId) => new CudaDevice(cudart, deviceId));

  const deviceOf = (call: string, deviceId: number): CudaDevice => {
    const device = devices[deviceId];
    if (device !== undefined) return device;
    throw new DeviceError('cudaErrorInvalidDevice', call, `no device ${deviceId} among ${deviceCount}`);
  };

  return {
    kind: 'cuda',
    libraryPath: cudart.libraryPath,
    runtimeVersion: cudart.runtimeVersion,
    driverVersion: cudart.driverVersion,
    deviceCount: () => deviceCount,
    deviceUuid: (deviceId) => uuidOf(cudart, deviceOf('cuDeviceGetUuid', deviceId)),
    pciBusId(deviceId) {
      deviceOf('cudaDeviceGetPCIBusId', deviceId);
      const text = Buffer.alloc(PCI_BUS_ID_SIZE_BYTES);
      check(runtime, runtime.cudaDeviceGetPCIBusId(text, text.length, deviceId), 'cudaDeviceGetPCIBusId');
      return text.toString('latin1', 0, text.indexOf(0));
    },
    memoryInfo(deviceId) {
      const free: Out<number> = [0];
      const total: Out<number> = [0];
      check(deviceOf('cudaMemGetInfo', deviceId).selected(), runtime.cudaMemGetInfo(free, total), 'cudaMemGetInfo');
      return { freeBytes: free[0], totalBytes: total[0] };
    },

    allocate(deviceId, sizeBytes) {
      const device = deviceOf('cudaMalloc', deviceId);
      checkSize('cudaMalloc', sizeBytes);
      const pointer: Out<Pointer | null> = [null];
      check(device.selected(), runtime.cudaMalloc(pointer, sizeBytes), 'cudaMalloc', `${sizeBytes} bytes`);
      return CudaMemoryAt.allocatedAt(device, pointer, sizeBytes);
    },
    adopt: (deviceId, address, sizeBytes) =>
      adoptMemory(deviceOf('cudaPointerGetAttributes', deviceId), address, sizeBytes),
    openHandle: (deviceId, handle, part) => openMapping(deviceOf('cudaIpcOpenMemHandle', deviceId), handle, part),
  };
}

function uuidOf({ runtime, driver }: Cudart, { deviceId }: CudaDevice): string {
  const device: Out<number> = [0];
  check(runtime, driver.cuDeviceGet(device, deviceId), 'cuDeviceGet');
  const uuid: { bytes?: Uint8Array } = {};
  check(runtime, driver.cuDeviceGetUuid_v2(uuid, device[0]), 'cuDeviceGetUuid_v2');
  const hex = Buffer.from(uuid.bytes ?? []).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
