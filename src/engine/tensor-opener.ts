import type { DeviceDriver } from '../../native-bindings/device-memory.ts';
import { decodeIpcWrapper } from '../registration/ipc-wrapper.ts';
import { ipcHandleFrom } from '../registration/torch-handle.ts';
import type { OpenTensor } from './tensor-registry.ts';

/**
 * Maps the memory that a pickled wrapper names. The device is found by its UUID among those of this process, as the
 * client may count them differently.
 */
export const createTensorOpener = (driver: DeviceDriver): OpenTensor => {
  const indexByUuid = new Map<string, number>();
  for (let deviceId = 0; deviceId < driver.deviceCount(); deviceId++) {
    indexByUuid.set(driver.deviceUuid(deviceId), deviceId);
  }
  return (wrapperBytes) => {
    const wrapper = decodeIpcWrapper(wrapperBytes);
    const deviceIndex = indexByUuid.get(wrapper.deviceUuid);
    if (deviceIndex === undefined) throw new Error(`no device with UUID ${wrapper.deviceUuid}`);
    const memory = driver.openHandle(deviceIndex, ipcHandleFrom(wrapper.memoryHandle));
    if (wrapper.storageOffsetBytes + wrapper.storageSizeBytes > memory.sizeBytes) {
      memory[Symbol.dispose]();
      throw new Error(`storage of ${wrapper.storageSizeBytes} bytes does not fit in its allocation`);
    }
    return { memory, offsetBytes: wrapper.storageOffsetBytes, sizeBytes: wrapper.storageSizeBytes, deviceIndex };
  };
};
