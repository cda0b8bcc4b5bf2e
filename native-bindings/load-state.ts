import { randomUUID } from 'node:crypto';
import { ownStamp } from './creator-stamp.ts';
import { SharedMemory } from './posix-shm/shared-memory.ts';

/** `pega_load_` and a UUID as 32 lowercase hex digits name a record. */
export const LOAD_STATE_PREFIX = 'pega_load_';

/**
 * The 32 bytes, little-endian: u64 offset of the record (8), then at that offset u32 magic, u32 version, i64 state.
 * The server's layout leaves the last 8 bytes unused; the creator's stamp is kept there, so that a sweep knows whose it is.
 */
export const LOAD_STATE_SIZE_BYTES = 32;
export const LOAD_STATE_STAMP_OFFSET = 24;
const RECORD_OFFSET = 8;
const RECORD_SIZE_BYTES = 16;
const STATE_OFFSET_IN_RECORD = 8;
const MAGIC = 0x5046_4c44;
const VERSION = 1;
/** From here on no address of a process is left above an offset. */
const LOWEST_OVERFLOW = 2n ** 64n - 2n ** 46n;

/** An object that exists but is no record of ours to signal through. */
export class LoadStateError extends Error {
  override readonly name = 'LoadStateError';
}

/**
 * Where the outcome of one load arrives: the client creates the record and polls it, the server attaches to it by name
 * and writes it once. Disposing unmaps; the creator's dispose also unlinks, after which the server can no longer attach.
 */
export class LoadState implements Disposable {
  readonly #memory: SharedMemory;
  readonly #stateOffset: number;

  /** A pending record under a new name. @throws ShmError */
  static create(): LoadState {
    const name = LOAD_STATE_PREFIX + randomUUID().replaceAll('-', '');
    const memory = SharedMemory.create(name, LOAD_STATE_SIZE_BYTES);
    const bytes = new Uint8Array(LOAD_STATE_SIZE_BYTES);
    const layout = new DataView(bytes.buffer);
    layout.setBigUint64(0, BigInt(RECORD_OFFSET), true);
    layout.setUint32(RECORD_OFFSET, MAGIC, true);
    layout.setUint32(RECORD_OFFSET + 4, VERSION, true);
    layout.setBigUint64(LOAD_STATE_STAMP_OFFSET, ownStamp(), true);
    memory.write(0, bytes);
    return new LoadState(memory, RECORD_OFFSET);
  }

  /**
   * The record that a client created. Its object is not unlinked by this side.
   * @throws ShmError where there is no such object or it is empty
   * @throws LoadStateError where it is something else than a record of version 1
   */
  static attach(name: string): LoadState {
    const memory = SharedMemory.open(name);
    try {
      return new LoadState(memory, checkedRecordOffset(memory));
    } catch (error) {
      memory[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(memory: SharedMemory, recordOffset: number) {
    this.#memory = memory;
    this.#stateOffset = recordOffset + STATE_OFFSET_IN_RECORD;
  }

  /** What goes into `LoadRequest.load_state_shm`: the object's name without a leading slash. */
  get name(): string {
    return this.#memory.name;
  }

  /**
   * 0 pending, 1 success, anything below 0 failure. One atomic load, no system call. After a 1, the bytes that the server
   * copied before it are visible. @throws ShmError after dispose
   */
  state(): number {
    return Number(this.#memory.loadInt64(this.#stateOffset));
  }

  /** The server's side: 1 after the last byte was copied, -1 when the load failed. @throws ShmError after dispose */
  signal(outcome: 1 | -1): void {
    this.#memory.storeInt64(this.#stateOffset, BigInt(outcome));
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** Checks in the order of the server, and refuses in its words. */
function checkedRecordOffset(memory: SharedMemory): number {
  const { sizeBytes } = memory;
  checkSize(sizeBytes, BigInt(LOAD_STATE_SIZE_BYTES));
  const offset = BigInt.asUintN(64, memory.loadInt64(0));
  if (offset < RECORD_OFFSET) {
    throw new LoadStateError(`invalid LoadState offset (offset=${offset}, len=${sizeBytes}) recorded in shared memory`);
  }
  if (offset >= LOWEST_OVERFLOW) {
    throw new LoadStateError('address calculation overflowed when aligning LoadState mapping');
  }
  checkSize(sizeBytes, offset + BigInt(RECORD_SIZE_BYTES));
  if (offset % 8n !== 0n) throw new LoadStateError(`aligned pointer 0x${offset.toString(16)} is not 8-byte aligned`);

  const recordOffset = Number(offset);
  const header = new Uint8Array(8);
  memory.read(recordOffset, header);
  const view = new DataView(header.buffer);
  const magic = view.getUint32(0, true);
  const version = view.getUint32(4, true);
  if (magic !== MAGIC || version !== VERSION) {
    const expected = `expected magic=0x${MAGIC.toString(16)}, version=${VERSION}`;
    throw new LoadStateError(
      `invalid LoadState header (magic=0x${magic.toString(16)}, version=${version}, ${expected})`,
    );
  }
  return recordOffset;
}

function checkSize(sizeBytes: number, requiredBytes: bigint): void {
  if (requiredBytes <= sizeBytes) return;
  throw new LoadStateError(`shared memory too small (actual=${sizeBytes} bytes, required=${requiredBytes} bytes)`);
}
