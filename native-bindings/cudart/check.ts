import { DeviceError, type DeviceErrorCode } from '../device-error.ts';
import type { DriverCalls, RuntimeCalls } from './calls.ts';
import { cudaSuccess } from './declarations.ts';

/**
 * The one way in for CUDA's errors: passes a success, throws everything else under CUDA's own name, and takes it back from
 * the thread, so that a later call that asks for the last error does not get this one.
 * @throws DeviceError
 */
export function check(
  runtime: RuntimeCalls,
  code: number,
  call: keyof RuntimeCalls | keyof DriverCalls,
  subject?: string,
): void {
  if (code === cudaSuccess) return;
  runtime.cudaGetLastError();
  const detail = `${runtime.cudaGetErrorString(code)} (${code})`;
  throw new DeviceError(errorName(runtime, code), call, subject === undefined ? detail : `${detail}: ${subject}`);
}

/** Codes that this library has no name for, as those of a newer driver, become `cudaErrorUnknown`. */
export function errorName(runtime: RuntimeCalls, code: number): DeviceErrorCode {
  const name = runtime.cudaGetErrorName(code);
  return isErrorCode(name) ? name : 'cudaErrorUnknown';
}

function isErrorCode(name: string): name is DeviceErrorCode {
  return name.startsWith('cudaError');
}
