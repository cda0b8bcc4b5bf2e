import { IpcWrapperError } from './ipc-wrapper-error.ts';

/** A name that a pickle refers to. It is compared, never looked up. */
export interface Global {
  readonly kind: 'global';
  readonly module: string;
  readonly name: string;
}

/** A tuple, `torch.Size` included. */
interface Tuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

interface List {
  readonly kind: 'list';
  readonly items: PickleValue[];
}

interface Dict {
  readonly kind: 'dict';
  readonly entries: Map<PickleValue, PickleValue>;
}

/** An instance of `pegaflow.ipc_wrapper.CudaIPCWrapper`, whose attributes arrive after it was made. */
interface Instance {
  readonly kind: 'instance';
  readonly attributes: Map<PickleValue, PickleValue>;
}

interface Bytes {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

/** A guardedInspector object that no part of a wrapper can be: a set, a bytearray, a float. Its content is not kept. */
interface Opaque {
  readonly kind: 'opaque' | 'float';
}

/** What the reader's stack holds. An integer from 2^53 on is a bigint. */
export type PickleValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Bytes
  | Global
  | Tuple
  | List
  | Dict
  | Instance
  | Opaque;

type Kind = Extract<PickleValue, { kind: string }>['kind'];

/** Narrows a value to one kind. @throws IpcWrapperError naming what is there instead */
export function expectKind<K extends Kind>(
  value: PickleValue | undefined,
  kind: K,
  what: string,
): Extract<PickleValue, { kind: K }> {
  if (isKind(value, kind)) return value;
  throw new IpcWrapperError(`${what} is ${describe(value)}, not ${kind}`);
}

export function isKind<K extends Kind>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { kind: K }> {
  return typeof value === 'object' && value !== null && value.kind === kind;
}

/** The items of a tuple or a list. */
export function expectItems(value: PickleValue | undefined, what: string): readonly PickleValue[] {
  if (isKind(value, 'tuple') || isKind(value, 'list')) return value.items;
  throw new IpcWrapperError(`${what} is ${describe(value)}, not a tuple`);
}

export function expectText(value: PickleValue | undefined, what: string): string {
  if (typeof value === 'string') return value;
  throw new IpcWrapperError(`${what} is ${describe(value)}, not a string`);
}

export function expectBool(value: PickleValue | undefined, what: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new IpcWrapperError(`${what} is ${describe(value)}, not a bool`);
}

/** An integer of 0 or more, as every number in a wrapper is. */
export function expectInt(value: PickleValue | undefined, what: string): number {
  // To Python True is 1.
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new IpcWrapperError(`${what} is ${describe(value)}, not an integer of 0 or more`);
}

export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'absent';
  if (value === null) return 'None';
  if (typeof value !== 'object') return clip(typeof value === 'string' ? JSON.stringify(value) : String(value));
  return value.kind === 'global' ? clip(`${value.module}.${value.name}`) : `a ${value.kind}`;
}

/** Text of a message must not grow with the bytes that are complained about. */
function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
