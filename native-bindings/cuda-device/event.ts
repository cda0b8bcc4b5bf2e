import type { CudaEvent } from '../cuda-memory.ts';
import type { Out, Pointer, Reserved } from '../cudart/calls.ts';
import { check, isReady } from '../cudart/check.ts';
import { interprocessEventFlags } from '../cudart/declarations.ts';
import { DeviceError } from '../device-error.ts';
import type { CudaDevice } from './device.ts';
import { reservedFrom } from './mapping.ts';

export class CudaEventAt implements CudaEvent {
  readonly deviceId: number;
  readonly #device: CudaDevice;
  #pointer: Pointer | null;
  #waits = 0;
  #isDisposed = false;

  static create(device: CudaDevice): CudaEventAt {
    const runtime = device.selected();
    const created: Out<Pointer | null> = [null];
    check(runtime, runtime.cudaEventCreateWithFlags(created, interprocessEventFlags), 'cudaEventCreateWithFlags');
    return new CudaEventAt(device, created[0]);
  }

  static open(device: CudaDevice, handle: Uint8Array): CudaEventAt {
    const reserved = reservedFrom('cudaIpcOpenEventHandle', handle);
    const runtime = device.selected();
    const opened: Out<Pointer | null> = [null];
    check(runtime, runtime.cudaIpcOpenEventHandle(opened, reserved), 'cudaIpcOpenEventHandle');
    return new CudaEventAt(device, opened[0]);
  }

  /** For the other files of this folder. @throws DeviceError after dispose, and for an event of another driver */
  static pointerOf(event: CudaEvent, call: string): Pointer {
    if (event instanceof CudaEventAt) return event.#usable(call);
    throw new DeviceError('cudaErrorInvalidResourceHandle', call, 'this event is not of the CUDA driver');
  }

  private constructor(device: CudaDevice, pointer: Pointer | null) {
    this.deviceId = device.deviceId;
    this.#device = device;
    this.#pointer = pointer;
  }

  isReached(): boolean {
    const event = this.#usable('cudaEventQuery');
    const runtime = this.#device.selected();
    return isReady(runtime, runtime.cudaEventQuery(event), 'cudaEventQuery');
  }

  synchronize(): void {
    const event = this.#usable('cudaEventSynchronize');
    const runtime = this.#device.selected();
    check(runtime, runtime.cudaEventSynchronize(event), 'cudaEventSynchronize');
  }

  async synchronizeAsync(): Promise<void> {
    const event = this.#usable('cudaEventSynchronize');
    this.#waits += 1;
    try {
      await this.#device.thread().call('cudaEventSynchronize', event);
    } finally {
      this.#waits -= 1;
      if (this.#isDisposed) this.#destroy();
    }
  }

  exportHandle(): Uint8Array {
    const event = this.#usable('cudaIpcGetEventHandle');
    const handle: Partial<Reserved> = {};
    const runtime = this.#device.selected();
    check(runtime, runtime.cudaIpcGetEventHandle(handle, event), 'cudaIpcGetEventHandle');
    return Uint8Array.from(handle.reserved ?? []);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#destroy();
  }

  /** Not while the device's thread waits for it: the last of those waits comes here again. */
  #destroy(): void {
    const event = this.#pointer;
    if (event === null || this.#waits > 0) return;
    this.#pointer = null;
    const runtime = this.#device.selected();
    check(runtime, runtime.cudaEventDestroy(event), 'cudaEventDestroy');
  }

  #usable(call: string): Pointer {
    if (this.#pointer !== null && !this.#isDisposed) return this.#pointer;
    throw new DeviceError('cudaErrorInvalidResourceHandle', call, 'event used after dispose');
  }
}
