/**
 * What keeps CUDA from being used here. `noLibrary`: no usable libcudart of version 12 or 13 was found. `noDriver`: there is
 * no NVIDIA driver. `driverTooOld`: it is older than the library needs. `noDevice`: it shows no device to this process.
 * `driverFailed`: anything else that CUDA says before the first device can be counted, or no usable library of the driver.
 */
export type CudaUnavailableReason = 'noLibrary' | 'noDriver' | 'driverTooOld' | 'noDevice' | 'driverFailed';

/** CUDA was asked for and is not to be had. The message names what is missing and every library that was tried. */
export class CudaUnavailableError extends Error {
  override readonly name = 'CudaUnavailableError';
  readonly reason: CudaUnavailableReason;
  /** The message without its beginning, which is the same for every one of them. */
  readonly detail: string;

  constructor(reason: CudaUnavailableReason, detail: string) {
    super(`CUDA is not available (${reason}): ${detail}`);
    this.reason = reason;
    this.detail = detail;
  }
}
