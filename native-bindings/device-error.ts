/** The name of a `cudaError_t` (driver_types.h), as `cudaGetErrorName` gives it. */
export type DeviceErrorCode = `cudaError${string}`;

/** A device call that was refused: `code` is CUDA's name for the reason, `call` the CUDA function that gave or would give it. */
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
