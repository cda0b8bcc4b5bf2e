import { check } from '../cudart/check.ts';
import type { Cudart } from '../cudart/library.ts';

/** One device of a driver: what every call on it has in common. */
export class CudaDevice {
  readonly deviceId: number;
  readonly cudart: Cudart;

  constructor(cudart: Cudart, deviceId: number) {
    this.cudart = cudart;
    this.deviceId = deviceId;
  }

  /** The runtime with this device current on the calling thread, which is what most calls act on. */
  selected(): Cudart['runtime'] {
    const { runtime } = this.cudart;
    check(runtime, runtime.cudaSetDevice(this.deviceId), 'cudaSetDevice', `device ${this.deviceId}`);
    return runtime;
  }
}
