/** Reads option values, each with an error that says what was expected. */
import { InvalidArgumentError } from 'commander';
import type { OutageRange } from '../demo/options.ts';

/** Longest delay that a timer can wait; a longer one would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A whole number in a range, both ends included. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** A number above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

const UNITS = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 2 ** 10],
  ['kib', 2 ** 10],
  ['mb', 2 ** 20],
  ['mib', 2 ** 20],
  ['gb', 2 ** 30],
  ['gib', 2 ** 30],
  ['tb', 2 ** 40],
  ['tib', 2 ** 40],
]);

/** Bytes, as pegaflow-server reads sizes: units of 1024, decimals allowed, such as `1.5gb`. */
export function sizeBytes(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(text) ?? [];
  const factor = UNITS.get(unit?.toLowerCase() ?? 'none');
  const bytes = Math.floor(Number(digits) * (factor ?? Number.NaN));
  if (!Number.isSafeInteger(bytes) || bytes <= 0)
    throw new InvalidArgumentError('Expected a size such as 512mb or 1.5gb.');
  return bytes;
}

/** `400` or `0..500`, in milliseconds. */
export function outageRange(text: string): OutageRange {
  const [, from, to] = /^(\d+)(?:\.\.(\d+))?$/.exec(text) ?? [];
  const range = { fromMs: Number(from), toMs: Number(to ?? from) };
  if (from === undefined || range.fromMs > range.toMs || range.toMs > MAX_TIMER_MS) {
    throw new InvalidArgumentError('Expected milliseconds, or a range of them such as 0..500.');
  }
  return range;
}

/** `host:port`; an IPv6 address in brackets. */
export function address(text: string): string {
  const port = Number(/^(?:\[[^\]]+\]|[^:]+):(\d+)$/.exec(text)?.[1]);
  if (!(port <= 65_535)) throw new InvalidArgumentError('Expected host:port.');
  return text;
}

/** Where a feed is served: `host:port`, or the URL of its page. */
export function feedAddress(text: string): string {
  return address(text.replace(/^http:\/\//, '').replace(/\/$/, ''));
}

/** Several of them with commas between, after those that the option was given before. */
export function feedAddresses(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').map(feedAddress)];
}

/** An `http:` or `https:` address, without a slash at its end. */
export function httpUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new InvalidArgumentError('Expected http://host:port.');
  return text.replace(/\/+$/, '');
}

/** Where a server speaks gRPC: `http://host:port`, without a slash at its end. There is no TLS. */
export function grpcUrl(text: string): string {
  if (!/^http:\/\/[^/?#]+:[1-9]\d*\/*$/.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError('Expected http://host:port.');
  }
  return httpUrl(text);
}

/** A JSON object. */
export function jsonObject(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`Not JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError('Expected a JSON object.');
  }
  return value;
}
