import type { Out, Pointer, Reserved } from '../cudart/calls.ts';
import { check } from '../cudart/check.ts';
import { cudaMemcpyDeviceToHost, cudaMemcpyHostToDevice, DEFAULT_STREAM } from '../cudart/declarations.ts';
import { DeviceError } from '../device-error.ts';
import { checkRange } from '../device-range.ts';
import type { CudaBuffer, CudaMemory } from './cuda-memory.ts';
import type { CudaDevice } from './device.ts';

/** The call that gives memory back, with what it is to be given. */
export interface Release {
  readonly call: 'cudaFree' | 'cudaIpcCloseMemHandle';
  readonly pointer: Pointer;
}

/** Bytes on a device and, unless somebody else owns them, the duty to give them back. */
export class CudartBuffer implements CudaBuffer {
  readonly deviceId: number;
  readonly sizeBytes: number;
  protected readonly device: CudaDevice;
  protected readonly address: Pointer;
  #release: Release | null;
  #isDisposed = false;

  constructor(device: CudaDevice, address: Pointer, sizeBytes: number, release: Release | null) {
    this.device = device;
    this.deviceId = device.deviceId;
    this.address = address;
    this.sizeBytes = sizeBytes;
    this.#release = release;
  }

  read(offset: number, target: Uint8Array): void {
    this.#copy(target, this.#addressAt('cudaMemcpy', offset, target.length), target.length, cudaMemcpyDeviceToHost);
  }

  write(offset: number, source: Uint8Array): void {
    this.#copy(this.#addressAt('cudaMemcpy', offset, source.length), source, source.length, cudaMemcpyHostToDevice);
  }

  fill(offset: number, lengthBytes: number, byte: number): void {
    const address = this.#addressAt('cudaMemset', offset, lengthBytes);
    if (lengthBytes === 0) return;
    const runtime = this.device.selected();
    check(runtime, runtime.cudaMemset(address, byte & 0xff, lengthBytes), 'cudaMemset');
    check(runtime, runtime.cudaStreamSynchronize(DEFAULT_STREAM), 'cudaStreamSynchronize');
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    const release = this.#release;
    if (release === null) return;
    this.#release = null;
    const runtime = this.device.selected();
    check(runtime, runtime[release.call](release.pointer), release.call);
  }

  protected checkUsable(call: string): void {
    if (this.#isDisposed) throw new DeviceError('cudaErrorInvalidValue', call, 'memory used after dispose');
  }

  #addressAt(call: string, offset: number, lengthBytes: number): Pointer {
    this.checkUsable(call);
    checkRange(call, offset, lengthBytes, this.sizeBytes);
    return this.address + BigInt(offset);
  }

  #copy(to: Uint8Array | Pointer, from: Uint8Array | Pointer, lengthBytes: number, kind: number): void {
    if (lengthBytes === 0) return;
    const runtime = this.device.selected();
    check(runtime, runtime.cudaMemcpy(to, from, lengthBytes, kind), 'cudaMemcpy');
    // A copy to the device may return while the bytes are still on their way, and another process would not see them:
    // https://docs.nvidia.com/cuda/cuda-runtime-api/api-sync-behavior.html
    if (kind === cudaMemcpyHostToDevice) {
      check(runtime, runtime.cudaStreamSynchronize(DEFAULT_STREAM), 'cudaStreamSynchronize');
    }
  }
}

/** Memory of this process that can be named to another one. */
export class CudaMemoryAt extends CudartBuffer implements CudaMemory {
  readonly offsetBytes: number;

  constructor(device: CudaDevice, base: Pointer, offsetBytes: number, sizeBytes: number, release: Release | null) {
    super(device, base + BigInt(offsetBytes), sizeBytes, release);
    this.offsetBytes = offsetBytes;
  }

  static allocatedAt(device: CudaDevice, [pointer]: Out<Pointer | null>, sizeBytes: number): CudaMemoryAt {
    if (pointer === null) throw new DeviceError('cudaErrorMemoryAllocation', 'cudaMalloc', 'answered a null pointer');
    return new CudaMemoryAt(device, pointer, 0, sizeBytes, { call: 'cudaFree', pointer });
  }

  exportHandle(): Uint8Array {
    this.checkUsable('cudaIpcGetMemHandle');
    const handle: Partial<Reserved> = {};
    const runtime = this.device.selected();
    const base = this.address - BigInt(this.offsetBytes);
    check(runtime, runtime.cudaIpcGetMemHandle(handle, base), 'cudaIpcGetMemHandle');
    return Uint8Array.from(handle.reserved ?? []);
  }
}
