/** What a device call can be refused with, by the names of `cudaError_t` (driver_types.h). */
export type DeviceErrorCode =
  | 'cudaErrorInvalidValue'
  | 'cudaErrorMemoryAllocation'
  | 'cudaErrorInvalidDevice'
  | 'cudaErrorDeviceUninitialized'
  | 'cudaErrorPeerAccessUnsupported'
  | 'cudaErrorInvalidResourceHandle';

/** A device call that was refused: `code` is CUDA's name for the reason, `call` the CUDA function that would give it. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly code: DeviceErrorCode;
  readonly call: string;

  constructor(code: DeviceErrorCode, call: string, detail: string, options?: ErrorOptions) {
    super(`${call}: ${code}: ${detail}`, options);
    this.code = code;
    this.call = call;
  }
}
