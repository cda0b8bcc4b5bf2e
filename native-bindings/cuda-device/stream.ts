import type { CudaBuffer, CudaEvent, CudaStream } from '../cuda-memory.ts';
import type { Out, Pointer } from '../cudart/calls.ts';
import { check, isReady } from '../cudart/check.ts';
import { cudaMemcpyDeviceToHost, cudaMemcpyHostToDevice, cudaStreamNonBlocking } from '../cudart/declarations.ts';
import { DeviceError } from '../device-error.ts';
import { hostAddressOf } from '../foreign-function.ts';
import { CudaBufferAt } from './buffer.ts';
import type { CudaDevice } from './device.ts';
import { CudaEventAt } from './event.ts';

/** Neither end of a copy may go away before it was made. */
interface HeldCopy {
  readonly memory: CudaBufferAt;
  readonly host: Uint8Array;
}

export class CudaStreamAt implements CudaStream {
  readonly deviceId: number;
  readonly #device: CudaDevice;
  #pointer: Pointer | null;
  readonly #copies = new Set<HeldCopy>();
  #waits = 0;
  #isDisposed = false;

  constructor(device: CudaDevice) {
    this.deviceId = device.deviceId;
    this.#device = device;
    const runtime = device.selected();
    const created: Out<Pointer | null> = [null];
    check(runtime, runtime.cudaStreamCreateWithFlags(created, cudaStreamNonBlocking), 'cudaStreamCreateWithFlags');
    this.#pointer = created[0];
  }

  read(memory: CudaBuffer, offset: number, target: Uint8Array): void {
    this.#copy(memory, offset, target, cudaMemcpyDeviceToHost);
  }

  write(memory: CudaBuffer, offset: number, source: Uint8Array): void {
    this.#copy(memory, offset, source, cudaMemcpyHostToDevice);
  }

  record(event: CudaEvent): void {
    const call = 'cudaEventRecord';
    const pointer = CudaEventAt.pointerOf(event, call);
    const stream = this.#usable(call);
    const runtime = this.#device.selected();
    check(runtime, runtime.cudaEventRecord(pointer, stream), call);
  }

  waitFor(event: CudaEvent): void {
    const call = 'cudaStreamWaitEvent';
    const pointer = CudaEventAt.pointerOf(event, call);
    const stream = this.#usable(call);
    const runtime = this.#device.selected();
    check(runtime, runtime.cudaStreamWaitEvent(stream, pointer, 0), call);
  }

  isIdle(): boolean {
    const stream = this.#usable('cudaStreamQuery');
    const runtime = this.#device.selected();
    const isIdle = isReady(runtime, runtime.cudaStreamQuery(stream), 'cudaStreamQuery');
    if (isIdle) this.#letGo([...this.#copies]);
    return isIdle;
  }

  synchronize(): void {
    const stream = this.#usable('cudaStreamSynchronize');
    const runtime = this.#device.selected();
    check(runtime, runtime.cudaStreamSynchronize(stream), 'cudaStreamSynchronize');
    this.#letGo([...this.#copies]);
  }

  async synchronizeAsync(): Promise<void> {
    const stream = this.#usable('cudaStreamSynchronize');
    const begun = [...this.#copies];
    this.#waits += 1;
    try {
      await this.#device.thread().call('cudaStreamSynchronize', stream);
      this.#letGo(begun);
    } finally {
      this.#waits -= 1;
      if (this.#isDisposed) this.#destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#destroy();
  }

  /** Not while the device's thread waits for it: the last of those waits comes here again. */
  #destroy(): void {
    const stream = this.#pointer;
    if (stream === null || this.#waits > 0) return;
    const runtime = this.#device.selected();
    check(runtime, runtime.cudaStreamSynchronize(stream), 'cudaStreamSynchronize');
    this.#pointer = null;
    this.#letGo([...this.#copies]);
    check(runtime, runtime.cudaStreamDestroy(stream), 'cudaStreamDestroy');
  }

  #copy(memory: CudaBuffer, offset: number, host: Uint8Array, kind: number): void {
    const call = 'cudaMemcpyAsync';
    const stream = this.#usable(call);
    if (!(memory instanceof CudaBufferAt)) {
      throw new DeviceError('cudaErrorInvalidValue', call, 'this memory is not of the CUDA driver');
    }
    const held: HeldCopy = { memory, host };
    const address = memory.hold(call, offset, host.length, held);
    try {
      if (host.length > 0) {
        const hostAddress = hostAddressOf(host);
        const runtime = this.#device.selected();
        const [to, from] = kind === cudaMemcpyHostToDevice ? [address, hostAddress] : [hostAddress, address];
        check(runtime, runtime.cudaMemcpyAsync(to, from, host.length, kind, stream), call);
      }
    } catch (error) {
      this.#letGo([held]);
      throw error;
    }
    this.#copies.add(held);
  }

  #usable(call: string): Pointer {
    if (this.#pointer !== null && !this.#isDisposed) return this.#pointer;
    throw new DeviceError('cudaErrorInvalidResourceHandle', call, 'stream used after dispose');
  }

  #letGo(copies: readonly HeldCopy[]): void {
    for (const held of copies) {
      this.#copies.delete(held);
      held.memory.letGo(held);
    }
  }
}
