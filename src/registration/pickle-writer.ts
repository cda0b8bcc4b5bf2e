import { IpcWrapperError } from './ipc-wrapper-error.ts';
import { opcodes } from './pickle-opcodes.ts';

const PROTOCOL = 4;
const MAX_SHORT_LENGTH_BYTES = 0xff;
const MAX_UINT16 = 0xffff;
const MAX_INT32 = 0x7fff_ffff;

/** Writes one pickle of protocol 4, without frames and without memo: both are optional for every reader. */
export class PickleWriter {
  readonly #bytes: number[] = [opcodes.PROTO, PROTOCOL];

  op(opcode: keyof typeof opcodes): void {
    this.#bytes.push(opcodes[opcode]);
  }

  text(value: string): void {
    const utf8 = new TextEncoder().encode(value);
    this.#lengthPrefixed(opcodes.SHORT_BINUNICODE, opcodes.BINUNICODE, utf8);
  }

  bytes(value: Uint8Array): void {
    this.#lengthPrefixed(opcodes.SHORT_BINBYTES, opcodes.BINBYTES, value);
  }

  bool(value: boolean): void {
    this.op(value ? 'NEWTRUE' : 'NEWFALSE');
  }

  /** @throws IpcWrapperError unless it is an integer from 0 to 2^53 - 1 */
  int(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new IpcWrapperError(`${value} is not an integer of 0 or more`);
    if (value <= MAX_SHORT_LENGTH_BYTES) this.#bytes.push(opcodes.BININT1, value);
    else if (value <= MAX_UINT16) this.#bytes.push(opcodes.BININT2, ...littleEndian(value, 2));
    else if (value <= MAX_INT32) this.#bytes.push(opcodes.BININT, ...littleEndian(value, 4));
    // Seven bytes hold every safe integer and leave its sign bit clear.
    else this.#bytes.push(opcodes.LONG1, 7, ...littleEndian(value, 7));
  }

  tuple(writeItems: () => void): void {
    this.op('MARK');
    writeItems();
    this.op('TUPLE');
  }

  ints(values: readonly number[]): void {
    this.tuple(() => {
      for (const value of values) this.int(value);
    });
  }

  global(module: string, name: string): void {
    this.text(module);
    this.text(name);
    this.op('STACK_GLOBAL');
  }

  finish(): Uint8Array {
    this.op('STOP');
    return Uint8Array.from(this.#bytes);
  }

  #lengthPrefixed(shortOpcode: number, longOpcode: number, value: Uint8Array): void {
    if (value.length <= MAX_SHORT_LENGTH_BYTES) this.#bytes.push(shortOpcode, value.length);
    else this.#bytes.push(longOpcode, ...littleEndian(value.length, 4));
    for (const byte of value) this.#bytes.push(byte);
  }
}

function littleEndian(value: number, lengthBytes: number): number[] {
  return Array.from({ length: lengthBytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}
