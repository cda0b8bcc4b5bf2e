import type { CudaBuffer, CudaMemory } from '../cuda-memory.ts';
import type { Out, Pointer, Reserved } from '../cudart/calls.ts';
import { check } from '../cudart/check.ts';
import { cudaMemcpyDeviceToHost, cudaMemcpyHostToDevice, DEFAULT_STREAM } from '../cudart/declarations.ts';
import { DeviceError } from '../device-error.ts';
import { checkRange } from '../device-range.ts';
import { hostAddressOf } from '../foreign-function.ts';
import type { CudaDevice } from './device.ts';
import type { DeviceThread } from './thread.ts';

/** The call that gives memory back, with what it is to be given. */
export interface Release {
  readonly call: 'cudaFree' | 'cudaIpcCloseMemHandle';
  readonly pointer: Pointer;
}

/** Bytes on a device and, unless somebody else owns them, the duty to give them back once nothing copies any more. */
export class CudaBufferAt implements CudaBuffer {
  readonly deviceId: number;
  readonly sizeBytes: number;
  protected readonly device: CudaDevice;
  protected readonly address: Pointer;
  #release: Release | null;
  #isDisposed = false;
  readonly #holds = new Set<object>();
  readonly #copies = new Set<Promise<void>>();
  #disposal: Promise<void> | null = null;

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

  async readAsync(offset: number, target: Uint8Array): Promise<void> {
    const from = this.#addressAt('cudaMemcpy', offset, target.length);
    await this.#copyOnThread(target, (host, thread) =>
      thread.call('cudaMemcpy', host, from, target.length, cudaMemcpyDeviceToHost),
    );
  }

  async writeAsync(offset: number, source: Uint8Array): Promise<void> {
    const to = this.#addressAt('cudaMemcpy', offset, source.length);
    await this.#copyOnThread(source, (host, thread) =>
      Promise.all([
        thread.call('cudaMemcpy', to, host, source.length, cudaMemcpyHostToDevice),
        thread.call('cudaStreamSynchronize', DEFAULT_STREAM),
      ]),
    );
  }

  fill(offset: number, lengthBytes: number, byte: number): void {
    const address = this.#addressAt('cudaMemset', offset, lengthBytes);
    if (lengthBytes === 0) return;
    const runtime = this.device.selected();
    check(runtime, runtime.cudaMemset(address, byte & 0xff, lengthBytes), 'cudaMemset');
    check(runtime, runtime.cudaStreamSynchronize(DEFAULT_STREAM), 'cudaStreamSynchronize');
  }

  /** The address of a range, valid until {@link letGo} is called with the same holder. For the other files of this folder. */
  hold(call: string, offset: number, lengthBytes: number, holder: object): Pointer {
    const address = this.#addressAt(call, offset, lengthBytes);
    this.#holds.add(holder);
    return address;
  }

  letGo(holder: object): void {
    this.#holds.delete(holder);
    if (this.#isDisposed) this.#giveBack();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#giveBack();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#disposal ??= this.#giveBackOnThread();
    return this.#disposal;
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

  #copyOnThread(host: Uint8Array, begin: (address: bigint, thread: DeviceThread) => Promise<unknown>): Promise<void> {
    const copy = this.#heldDuring(host, begin);
    this.#copies.add(copy);
    const forget = (): boolean => this.#copies.delete(copy);
    copy.then(forget, forget);
    return copy;
  }

  async #heldDuring(
    host: Uint8Array,
    begin: (address: bigint, thread: DeviceThread) => Promise<unknown>,
  ): Promise<void> {
    if (host.length === 0) return;
    // The thread knows only an address: as a holder, the bytes are reachable for as long as it uses them.
    const holder = { host };
    this.#holds.add(holder);
    try {
      await begin(hostAddressOf(host), this.device.thread());
    } finally {
      this.letGo(holder);
    }
  }

  #giveBack(): void {
    const release = this.#takeRelease();
    if (release === null) return;
    const runtime = this.device.selected();
    check(runtime, runtime[release.call](release.pointer), release.call);
  }

  /** After the copies on that thread; what a stream still holds goes back when it lets go. */
  async #giveBackOnThread(): Promise<void> {
    const holder = {};
    this.#holds.add(holder);
    await Promise.allSettled(this.#copies);
    this.#holds.delete(holder);
    const release = this.#takeRelease();
    if (release !== null) await this.device.thread().call(release.call, release.pointer);
  }

  /** What is to be given back now, once: not while somebody holds an address, and not a second time. */
  #takeRelease(): Release | null {
    if (this.#holds.size > 0) return null;
    const release = this.#release;
    this.#release = null;
    return release;
  }
}

/** Memory of this process that can be named to another one. */
export class CudaMemoryAt extends CudaBufferAt implements CudaMemory {
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
