import { Option } from 'commander';
import { CudaUnavailableError, type DeviceDriver } from '../../native-bindings/index.ts';
import { UsageError } from '../demo/usage-error.ts';
import { DEVICE_KINDS, type DeviceKind, deviceDriverOf } from '../device-kind.ts';

export function deviceOption(): Option {
  return new Option('--device <kind>', 'where device memory lies: on a GPU, or in shared memory that stands in for one')
    .choices(DEVICE_KINDS)
    .default(DEVICE_KINDS[0]);
}

/** @throws UsageError where there is no such device, or not one for each of the ranks */
export function deviceDriverFor(kind: DeviceKind, ranks: number): DeviceDriver {
  const driver = driverOf(kind);
  const devices = driver.deviceCount();
  if (devices < ranks)
    throw new UsageError(`--device ${kind}: ${ranks} ranks need as many devices, there are ${devices}`);
  return driver;
}

function driverOf(kind: DeviceKind): DeviceDriver {
  try {
    return deviceDriverOf(kind);
  } catch (error) {
    if (error instanceof CudaUnavailableError) throw new UsageError(`--device ${kind}: ${error.message}`);
    throw error;
  }
}
