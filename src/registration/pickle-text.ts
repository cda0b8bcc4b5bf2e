import { IpcWrapperError } from './ipc-wrapper-error.ts';

/** More digits than any number of a wrapper has. */
const MAX_DIGITS = 40;

/** An integer as protocol 0 writes it, without the L of a long one. @throws IpcWrapperError */
export function integerFrom(text: string): number | bigint {
  if (text.length > MAX_DIGITS || !/^-?\d+$/.test(text)) throw new IpcWrapperError('has a malformed number');
  return exactly(BigInt(text));
}

/** The same integer as a number where a number holds it. */
export function exactly(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A float as protocol 0 writes it. @throws IpcWrapperError */
export function floatText(text: string): string {
  if (text.length > MAX_DIGITS || !/^-?(\d+(\.\d*)?(e[-+]?\d+)?|inf|nan)$/i.test(text)) {
    throw new IpcWrapperError('has a malformed number');
  }
  return text;
}

/** Text in Python's `raw-unicode-escape`, which protocol 0 writes: Latin-1, and `\u` or `\U` for all else. */
export function rawUnicodeFrom(latin1: string): string {
  return latin1.replaceAll(/\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g, (_, short: string, long: string) => {
    const code = Number.parseInt(short ?? long, 16);
    if (code > 0x10_ffff) throw new IpcWrapperError('has malformed text');
    return String.fromCodePoint(code);
  });
}
