/** What an item of the catalogue expects of a server's answers. */
import { inspect, isDeepStrictEqual } from 'node:util';

/** The server does not do what an item says; the message is one line. */
export class NotKeptError extends Error {
  override readonly name = 'NotKeptError';
}

export function expect(actual: unknown, what = 'the answer') {
  const demand = (isMet: boolean, expected: string) => {
    if (!isMet) throw new NotKeptError(`${what} is ${oneLine(actual)}, not ${expected}`);
  };
  return {
    toBe: (expected: unknown) => demand(Object.is(actual, expected), oneLine(expected)),
    toBeNull: () => demand(actual === null, 'null'),
    toEqual: (expected: unknown) => demand(isEqual(actual, expected), oneLine(expected)),
    /** Every field of `expected` has the value that it has there; others do not matter. */
    toMatchObject: (expected: object) => demand(matches(actual, expected), oneLine(expected)),
    toContain: (member: unknown) =>
      demand(Array.isArray(actual) && actual.includes(member), `a list with ${oneLine(member)}`),
  };
}

/** The error that `work` rejects with. */
export async function rejectionOf(work: Promise<unknown>, what = 'the call'): Promise<unknown> {
  const outcome = await work.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome) return outcome.error;
  throw new NotKeptError(`${what} was answered with ${oneLine(outcome.answer)}, not refused`);
}

function isEqual(actual: unknown, expected: unknown): boolean {
  if (actual instanceof Uint8Array && expected instanceof Uint8Array) return Buffer.compare(actual, expected) === 0;
  return isDeepStrictEqual(actual, expected);
}

function matches(actual: unknown, expected: unknown): boolean {
  if (!isRecord(expected)) return isEqual(actual, expected);
  return isRecord(actual) && Object.entries(expected).every(([key, value]) => matches(actual[key], value));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

const LONGEST_LINE = 200;

function oneLine(value: unknown): string {
  const text = inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 4 });
  return text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…` : text;
}
