import { check } from '../cudart/check.ts';
import type { Cudart } from '../cudart/library.ts';
import { DeviceThread } from './thread.ts';

/** One device of a driver: what every call on it has in common. */
export class CudaDevice implements AsyncDisposable {
  readonly deviceId: number;
  readonly cudart: Cudart;
  #thread: DeviceThread | null = null;

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

  /** The thread for calls that block; started by the first of them, and again after it died. */
  thread(): DeviceThread {
    if (this.#thread === null || this.#thread.hasEnded) this.#thread = new DeviceThread(this.cudart, this.deviceId);
    return this.#thread;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.[Symbol.asyncDispose]();
  }
}
