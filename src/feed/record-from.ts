import type { Evidence, FeedRecord, Trouble } from './record.ts';

type Check = (value: unknown) => boolean;

/** The furthest that a `Date` can be from its epoch. */
const LATEST_MS = 8.64e15;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => Number.isFinite(value);
const isKind: Check = (value) => value === 'scheduler' || value === 'worker';
const isEvidence: Check = (value) => {
  const { kind, message } = value as Partial<Evidence>;
  return isText(kind) && isText(message);
};
const areTroubles: Check = (value) =>
  Array.isArray(value) && value.every((one: Partial<Trouble> | null) => isText(one?.what) && isText(one?.message));
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || (value !== undefined && check(value));

const orAbsent =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

type Fields<T> = { readonly [Field in Exclude<keyof T, 'type' | 'atMs'>]-?: Check };

const FIELDS: { readonly [T in FeedRecord as T['type']]: Fields<T> } = {
  machine: {
    machine: isText,
    kind: isKind,
    instance: isText,
    rank: orNull(isNumber),
    state: isText,
    epoch: orNull(isText),
    pid: isNumber,
    evidence: orNull(isEvidence),
    troubles: orAbsent(areTroubles),
  },
  troubles: { machine: isText, all: areTroubles },
  transition: {
    machine: isText,
    from: isText,
    to: isText,
    event: isText,
    epoch: orNull(isText),
    evidence: orNull(isEvidence),
    edge: orNull(isText),
  },
  message: { from: isText, to: isText, name: isText },
  cache: {
    instance: isText,
    queries: isNumber,
    askedBlocks: isNumber,
    hitBlocks: isNumber,
    misses: isNumber,
    missesDegraded: isNumber,
  },
  server: { what: isText, how: orNull(isText) },
  gone: { machine: isText },
};

/** A record from elsewhere; `null` where it is none. One of a type that is not known yet passes: its reader skips it. */
export function recordFrom(value: unknown): FeedRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const record = value as Readonly<Record<string, unknown>>;
  const { type, atMs } = record;
  if (typeof type !== 'string' || typeof atMs !== 'number' || !(Math.abs(atMs) <= LATEST_MS)) return null;
  const fields = Object.hasOwn(FIELDS, type) ? Object.entries<Check>(FIELDS[type as FeedRecord['type']]) : [];
  return fields.every(([field, check]) => check(record[field])) ? (value as FeedRecord) : null;
}
