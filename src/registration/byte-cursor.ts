import { IpcWrapperError } from './ipc-wrapper-error.ts';

const LINE_FEED = 0x0a;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads little-endian fields one after the other. Every method throws {@link IpcWrapperError} where the bytes end too early. */
export class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remainingBytes(): number {
    return this.#bytes.length - this.#offset;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** A copy: the message that the bytes came in is not kept alive by it. */
  bytes(lengthBytes: number): Uint8Array {
    const start = this.#advance(lengthBytes);
    return Uint8Array.from(this.#bytes.subarray(start, start + lengthBytes));
  }

  text(lengthBytes: number): string {
    const start = this.#advance(lengthBytes);
    return decodeUtf8(this.#bytes.subarray(start, start + lengthBytes));
  }

  /** Text up to a line feed, which is consumed. */
  line(): string {
    return decodeUtf8(this.#lineBytes());
  }

  /** The same with one character for each byte. */
  latin1Line(): string {
    const line = this.#lineBytes();
    return Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('latin1');
  }

  #lineBytes(): Uint8Array {
    const end = this.#bytes.indexOf(LINE_FEED, this.#offset);
    if (end < 0) throw new IpcWrapperError(`ends inside the line that begins at byte ${this.#offset}`);
    const line = this.#bytes.subarray(this.#offset, end);
    this.#advance(line.length + 1);
    return line;
  }

  #advance(lengthBytes: number): number {
    if (lengthBytes > this.remainingBytes) {
      throw new IpcWrapperError(
        `ends early: ${lengthBytes} bytes wanted at byte ${this.#offset}, ${this.remainingBytes} left`,
      );
    }
    const start = this.#offset;
    this.#offset += lengthBytes;
    return start;
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new IpcWrapperError('text is not UTF-8', { cause });
  }
}
