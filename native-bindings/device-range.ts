import { DeviceError } from './device-error.ts';

/** Part of an allocation, in bytes from its beginning. */
export interface AllocationPart {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** @throws DeviceError `cudaErrorInvalidValue` unless all the bytes lie inside `sizeBytes`; `call` is what would have run */
export function checkRange(call: string, offset: number, lengthBytes: number, sizeBytes: number): void {
  const isRange = Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(lengthBytes) && lengthBytes >= 0;
  if (isRange && offset + lengthBytes <= sizeBytes) return;
  const detail = `${lengthBytes} bytes at offset ${offset} do not fit in ${sizeBytes} bytes`;
  throw new DeviceError('cudaErrorInvalidValue', call, detail);
}

/** @throws DeviceError `cudaErrorInvalidValue` for a size that is no positive integer */
export function checkSize(call: string, sizeBytes: number): void {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0) return;
  throw new DeviceError('cudaErrorInvalidValue', call, `${sizeBytes} is no size in bytes`);
}
