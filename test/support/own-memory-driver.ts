import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import type { DeviceDriver, DeviceMemory, MappedMemory } from '../../native-bindings/index.ts';

/** The emulated device for an engine in the process that owns the memory, in which CUDA opens no handle. */
export function createOwnMemoryDriver(): DeviceDriver {
  const emulated = createEmulatedDriver();
  const exported = new Map<string, DeviceMemory>();
  return {
    ...emulated,
    allocate(deviceId, sizeBytes) {
      const memory = emulated.allocate(deviceId, sizeBytes);
      exported.set(keyOf(memory.exportHandle()), memory);
      return memory;
    },
    openHandle(deviceId, handle, part) {
      const memory = exported.get(keyOf(handle));
      return memory === undefined ? emulated.openHandle(deviceId, handle, part) : viewOf(memory, part);
    },
  };
}

function keyOf(handle: Uint8Array): string {
  return Buffer.from(handle).toString('hex');
}

/** Ends by itself; the memory stays. */
function viewOf(
  memory: DeviceMemory,
  { offsetBytes, sizeBytes } = { offsetBytes: 0, sizeBytes: memory.sizeBytes },
): MappedMemory {
  let isClosed = false;
  const checked = (): DeviceMemory => {
    if (isClosed) throw new Error('memory used after dispose');
    return memory;
  };
  return {
    deviceId: memory.deviceId,
    sizeBytes,
    read: (offset, target) => checked().read(offsetBytes + offset, target),
    write: (offset, source) => checked().write(offsetBytes + offset, source),
    [Symbol.dispose]: () => {
      isClosed = true;
    },
  };
}
