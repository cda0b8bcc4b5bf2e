import { ShmError } from './check.ts';
import { posixShm } from './library.ts';
import {
  closeDescriptor,
  createObject,
  mapObject,
  objectSizeBytes,
  openObject,
  reserve,
  unlinkObject,
  unmapObject,
} from './object.ts';
import { disownAtExit, ownAtExit } from './unlink-at-exit.ts';

interface Mapping {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly words: BigInt64Array;
}

/**
 * A POSIX shared-memory object, mapped whole. On Linux it appears as `/dev/shm/<name>`.
 * Whoever created it owns it: disposing unmaps and unlinks, and so does the end of the process, unless it is killed.
 * Whoever opened it only unmaps. The mapped memory never leaves this class, because a read after unmapping would crash.
 * A peer that shrinks the object under us would crash us too (SIGBUS); nobody in this protocol does.
 */
export class SharedMemory implements Disposable {
  /** Without the leading slash. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly #isOwner: boolean;
  #mapping: Mapping | null;

  /** @throws ShmError `EEXIST` for a name in use, `ENOSPC` where memory is short; nothing stays behind. */
  static create(name: string, sizeBytes: number): SharedMemory {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
      throw new ShmError('EINVAL', 'ftruncate', name, `${sizeBytes} is no size in bytes`);
    }
    const fd = createObject(name);
    try {
      ownAtExit(name);
      reserve(fd, name, sizeBytes);
      return new SharedMemory(name, sizeBytes, true, fd);
    } catch (error) {
      unlinkObject(name);
      disownAtExit(name);
      throw error;
    } finally {
      closeDescriptor(fd, name);
    }
  }

  /**
   * Maps an object that somebody else created, all of it.
   * @param options.minSizeBytes refuse a smaller object; default 1, because an empty one cannot be mapped
   * @throws ShmError `ENOENT` where there is none, `EINVAL` where it is too small
   */
  static open(name: string, options: { readonly minSizeBytes?: number } = {}): SharedMemory {
    const { minSizeBytes = 1 } = options;
    const fd = openObject(name);
    try {
      const sizeBytes = objectSizeBytes(fd);
      if (sizeBytes < minSizeBytes) {
        throw new ShmError('EINVAL', 'mmap', name, `${sizeBytes} bytes, at least ${minSizeBytes} are needed`);
      }
      return new SharedMemory(name, sizeBytes, false, fd);
    } finally {
      closeDescriptor(fd, name);
    }
  }

  private constructor(name: string, sizeBytes: number, isOwner: boolean, fd: number) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#isOwner = isOwner;
    const address = mapObject(fd, name, sizeBytes);
    const buffer = posixShm().view(address, sizeBytes);
    const words = new BigInt64Array(buffer, 0, Math.floor(sizeBytes / BigInt64Array.BYTES_PER_ELEMENT));
    this.#mapping = { address, bytes: new Uint8Array(buffer), words };
  }

  /** Fills `target` with the bytes from `offset` on. @throws ShmError out of range or after dispose */
  read(offset: number, target: Uint8Array): void {
    target.set(this.#range('read', offset, target.length));
  }

  /** Writes all of `source` from `offset` on. @throws ShmError out of range or after dispose */
  write(offset: number, source: Uint8Array): void {
    this.#range('write', offset, source.length).set(source);
  }

  /** One atomic load of 8 bytes, ordered after whatever the storing process wrote before. No system call. */
  loadInt64(offset: number): bigint {
    return Atomics.load(this.#open('load').words, this.#wordIndex('load', offset));
  }

  /** One atomic store of 8 bytes: whoever loads it also sees what was written before it. No system call. */
  storeInt64(offset: number, value: bigint): void {
    Atomics.store(this.#open('store').words, this.#wordIndex('store', offset), value);
  }

  /** Takes the name away early; the memory stays mapped, here and elsewhere. Only the owner may. */
  unlink(): void {
    if (!this.#isOwner) throw new ShmError('EPERM', 'shm_unlink', this.name, 'only the process that created it may');
    unlinkObject(this.name);
    disownAtExit(this.name);
  }

  [Symbol.dispose](): void {
    const mapping = this.#mapping;
    if (mapping === null) return;
    this.#mapping = null;
    unmapObject(mapping.address, this.name, this.sizeBytes);
    if (this.#isOwner) this.unlink();
  }

  #open(operation: string): Mapping {
    if (this.#mapping === null) throw new ShmError('EBADF', operation, this.name, 'used after dispose');
    return this.#mapping;
  }

  #range(operation: string, offset: number, lengthBytes: number): Uint8Array {
    const { bytes } = this.#open(operation);
    const isInside = Number.isSafeInteger(offset) && offset >= 0 && offset + lengthBytes <= this.sizeBytes;
    if (!isInside) throw this.#outOfRange(operation, offset, lengthBytes);
    return bytes.subarray(offset, offset + lengthBytes);
  }

  #wordIndex(operation: string, offset: number): number {
    const index = offset / BigInt64Array.BYTES_PER_ELEMENT;
    const isInside = Number.isSafeInteger(index) && index >= 0 && index < this.#open(operation).words.length;
    if (!isInside) throw this.#outOfRange(operation, offset, BigInt64Array.BYTES_PER_ELEMENT);
    return index;
  }

  #outOfRange(operation: string, offset: number, lengthBytes: number): ShmError {
    const detail = `${lengthBytes} bytes at offset ${offset} do not fit, or are not aligned, in ${this.sizeBytes} bytes`;
    return new ShmError('EINVAL', operation, this.name, detail);
  }
}
