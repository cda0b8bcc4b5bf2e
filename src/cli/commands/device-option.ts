import { Option } from 'commander';
import { CudaUnavailableError, type DeviceDriver } from '../../../native-bindings/index.ts';
import { DEVICE_KINDS, type DeviceKind, deviceDriverOf } from '../../device-kind.ts';
import { UsageError } from '../../usage-error.ts';

const DESCRIPTION = 'where device memory lies: on a GPU, or in shared memory that stands in for one';

export function deviceOption(): Option {
  return new Option('--device <kind>', DESCRIPTION).choices(DEVICE_KINDS).default(DEVICE_KINDS[0]);
}

/** The same for whoever meets servers of several kinds: which memory one can map is known by {@link deviceKindFor}. */
export function openDeviceOption(): Option {
  return new Option('--device <kind>', `${DESCRIPTION} (default: what the server is likely to map)`).choices(
    DEVICE_KINDS,
  );
}

/** The memory asked for; by default a GPU's where there is one and the server is pegaflow-server. */
export function deviceKindFor(asked: DeviceKind | undefined, server: 'engine' | 'pegaflow-server'): DeviceKind {
  return asked ?? (server === 'pegaflow-server' && hasGpu() ? 'cuda' : 'emulated');
}

function hasGpu(): boolean {
  try {
    return deviceDriverOf('cuda').deviceCount() > 0;
  } catch (error) {
    if (error instanceof CudaUnavailableError) return false;
    throw error;
  }
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
