import { DeviceError } from '../device-error.ts';
import type { DeviceBuffer, DeviceMemory } from '../device-memory.ts';
import { type AllocationPart, checkRange } from '../device-range.ts';
import type { SharedMemory } from '../posix-shm/shared-memory.ts';
import { encodeHandle, type Segment } from './handle.ts';

/** A segment as this process sees it. Disposing lets go of the shared memory; whether that frees it is the subject of its owner. */
export class EmulatedBuffer implements DeviceBuffer {
  readonly deviceId: number;
  readonly sizeBytes: number;
  readonly #memory: SharedMemory;
  readonly #offsetBytes: number;
  #isDisposed = false;

  constructor(segment: Segment, memory: SharedMemory, part: AllocationPart = wholeOf(segment)) {
    this.deviceId = segment.deviceId;
    this.sizeBytes = part.sizeBytes;
    this.#offsetBytes = part.offsetBytes;
    this.#memory = memory;
  }

  read(offset: number, target: Uint8Array): void {
    this.#checkRange(offset, target.length);
    this.#memory.read(this.#offsetBytes + offset, target);
  }

  write(offset: number, source: Uint8Array): void {
    this.#checkRange(offset, source.length);
    this.#memory.write(this.#offsetBytes + offset, source);
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
    checkRange('cudaMemcpy', offset, lengthBytes, this.sizeBytes);
  }
}

/** A segment that this process allocated; disposing frees it for all who have not mapped it yet. */
export class EmulatedMemory extends EmulatedBuffer implements DeviceMemory {
  readonly offsetBytes = 0;
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

function wholeOf({ sizeBytes }: Segment): AllocationPart {
  return { offsetBytes: 0, sizeBytes };
}
