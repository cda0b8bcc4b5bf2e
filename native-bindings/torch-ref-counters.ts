import { type CreatorStamp, ownStamp } from './creator-stamp.ts';
import { SharedMemory } from './posix-shm/shared-memory.ts';

/** `torch_<pid>_<creator stamp, 16 hex digits>_<count>`: torch's own names have a decimal number in the middle. */
const NAME = /^torch_\d+_([0-9a-f]{16})_\d+$/;

/** `CUDA_IPC_REF_COUNTER_FILE_SIZE` (torch/csrc/CudaIPCTypes.h): how many counters of 8 bytes a file has. */
export const TORCH_REF_COUNTER_SLOTS = 10_000;

/** ATen/MapAllocator.cpp keeps the number of mappings of the file in front, and unlinks it when that falls to 0. */
const HEADER_SIZE_BYTES = 64;
const COUNTER_SIZE_BYTES = 8;

let count = 0;

/**
 * The file of reference counters that torch's consumers of shared CUDA memory expect: each takes 1 off the counter that its
 * wrapper names when it frees its mapping; one that is killed does not. A missing file is no error to them, so this is
 * there for a producer that wants to know, and for a server that should find everything as torch would have left it.
 * Whoever created it disposes of it.
 */
export class TorchRefCounters implements Disposable {
  readonly #memory: SharedMemory;
  #takenSlots = 0;

  /** A file with every counter at 0. @throws ShmError */
  static create(): TorchRefCounters {
    const stamp = ownStamp().toString(16).padStart(16, '0');
    count += 1;
    const sizeBytes = HEADER_SIZE_BYTES + TORCH_REF_COUNTER_SLOTS * COUNTER_SIZE_BYTES;
    const memory = SharedMemory.create(`torch_${process.pid}_${stamp}_${count}`, sizeBytes);
    // One mapping, ours, that never ends: consumers come and go without unlinking the file.
    memory.storeInt64(0, 1n);
    return new TorchRefCounters(memory);
  }

  private constructor(memory: SharedMemory) {
    this.#memory = memory;
  }

  /** What goes into `IpcWrapper.refCounterFile`: the name with its leading slash. */
  get file(): Uint8Array {
    return new TextEncoder().encode(`/${this.#memory.name}`);
  }

  /**
   * Takes the next free counter and sets it to 1, for one wrapper.
   * @returns what goes into `IpcWrapper.refCounterSlot`
   * @throws RangeError when all are taken
   */
  take(): number {
    const slot = this.#takenSlots;
    if (slot === TORCH_REF_COUNTER_SLOTS) throw new RangeError(`all ${TORCH_REF_COUNTER_SLOTS} counters are taken`);
    this.#takenSlots += 1;
    this.#memory.storeInt64(offsetOf(slot), 1n);
    return slot;
  }

  /** 1 less for every consumer that freed its mapping; below 0 where the same wrapper was opened again. */
  value(slot: number): number {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.#takenSlots)
      throw new RangeError(`counter ${slot} is not taken`);
    return Number(this.#memory.loadInt64(offsetOf(slot)));
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** The stamp inside the name of such a file; `null` for any other name, torch's own among them. */
export function creatorOfRefCounters(name: string): CreatorStamp | null {
  const stamp = NAME.exec(name)?.[1];
  return stamp === undefined ? null : BigInt(`0x${stamp}`);
}

function offsetOf(slot: number): number {
  return HEADER_SIZE_BYTES + slot * COUNTER_SIZE_BYTES;
}
