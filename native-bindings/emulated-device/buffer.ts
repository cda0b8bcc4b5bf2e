import { DeviceError } from '../device-error.ts';
import type { DeviceBuffer, DeviceMemory } from '../device-memory.ts';
import type { SharedMemory } from '../shared-memory.ts';
import { encodeHandle, type Segment } from './handle.ts';

/** A segment as this process sees it. Disposing lets go of the shared memory; whether that frees it is the subject of its owner. */
export class EmulatedBuffer implements DeviceBuffer {
  readonly deviceId: number;
  readonly sizeBytes: number;
  readonly #memory: SharedMemory;
  #isDisposed = false;

  constructor(segment: Segment, memory: SharedMemory) {
    this.deviceId = segment.deviceId;
    this.sizeBytes = segment.sizeBytes;
    this.#memory = memory;
  }

  read(offset: number, target: Uint8Array): void {
    this.#checkRange(offset, target.length);
    this.#memory.read(offset, target);
  }

  write(offset: number, source: Uint8Array): void {
    this.#checkRange(offset, source.length);
    this.#memory.write(offset, source);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#memory[Symbol.dispose]();
  }

  protected checkUsable(call: string): void {
    if (this.#isDisposed) throw new DeviceError('cudaErrorInvalidValue', call, 'memory used after dispose');
  }

  #checkRange(offset: number, lengthBytes: number): void {
    this.checkUsable('cudaMemcpy');
    const isInside = Number.isSafeInteger(offset) && offset >= 0 && offset + lengthBytes <= this.sizeBytes;
    if (isInside) return;
    const detail = `${lengthBytes} bytes at offset ${offset} do not fit in ${this.sizeBytes} bytes`;
    throw new DeviceError('cudaErrorInvalidValue', 'cudaMemcpy', detail);
  }
}

/** A segment that this process allocated; disposing frees it for all who have not mapped it yet. */
export class EmulatedMemory extends EmulatedBuffer implements DeviceMemory {
  readonly #segment: Segment;

  constructor(segment: Segment, memory: SharedMemory) {
    super(segment, memory);
    this.#segment = segment;
  }

  exportHandle(): Uint8Array {
    this.checkUsable('cudaIpcGetMemHandle');
    return encodeHandle(this.#segment);
  }
}
