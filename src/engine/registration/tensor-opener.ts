import type { DeviceDriver } from '../../../native-bindings/device-memory.ts';
import { decodeIpcWrapper, type ReceivedIpcWrapper } from '../../registration/ipc-wrapper.ts';
import { TORCH_DEFAULT_DTYPE, torchDtypes } from '../../registration/torch-dtypes.ts';
import { ipcHandleFrom } from '../../registration/torch-handle.ts';
import type { ServerBehaviour } from '../server-version.ts';
import type { OpenTensor } from './tensor-registry.ts';

/**
 * Maps the memory that a pickled wrapper names. The device is found by its UUID among those of this process, as the
 * client may count them differently.
 */
export const createTensorOpener = (
  driver: DeviceDriver,
  { isStorageOffsetSubtracted }: Pick<ServerBehaviour, 'isStorageOffsetSubtracted'>,
): OpenTensor => {
  const indexByUuid = new Map<string, number>();
  for (let deviceId = 0; deviceId < driver.deviceCount(); deviceId++) {
    indexByUuid.set(driver.deviceUuid(deviceId), deviceId);
  }
  return (wrapperBytes) => {
    const wrapper = decodeIpcWrapper(wrapperBytes);
    const deviceIndex = indexByUuid.get(wrapper.deviceUuid);
    if (deviceIndex === undefined) {
      throw new Error(
        `Device UUID ${wrapper.deviceUuid} not found in the discovered devices. ` +
          'Please make sure the process can see all the GPU devices.',
      );
    }
    const memory = driver.openHandle(deviceIndex, ipcHandleFrom(wrapper.memoryHandle));
    if (wrapper.storageOffsetBytes + wrapper.storageSizeBytes > memory.sizeBytes) {
      memory[Symbol.dispose]();
      throw new Error(`storage of ${wrapper.storageSizeBytes} bytes does not fit in its allocation`);
    }
    const viewOffsetBytes = viewOffsetOf(wrapper);
    if (isStorageOffsetSubtracted && viewOffsetBytes > wrapper.storageSizeBytes) {
      memory[Symbol.dispose]();
      throw new Error('tensor storage offset lies past the end of its allocation');
    }
    return {
      memory,
      offsetBytes: wrapper.storageOffsetBytes + viewOffsetBytes,
      sizeBytes: wrapper.storageSizeBytes - (isStorageOffsetSubtracted ? viewOffsetBytes : 0),
      deviceIndex,
    };
  };
};

/** From the start of the storage to the tensor. Without a stride a tensor is all of its storage. */
const viewOffsetOf = ({ dtype, storageOffset, stride }: ReceivedIpcWrapper): number =>
  stride === null ? 0 : storageOffset * torchDtypes.get(dtype ?? TORCH_DEFAULT_DTYPE)!;
