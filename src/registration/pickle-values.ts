import { IpcWrapperError } from './ipc-wrapper-error.ts';

/** A name that a pickle refers to. It is compared, never looked up. */
export interface Global {
  readonly kind: 'global';
  readonly module: string;
  readonly name: string;
}

interface Tuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

interface Dict {
  readonly kind: 'dict';
  readonly entries: Map<string, PickleValue>;
}

/** `torch.Size`, a tuple of another class. */
interface Size {
  readonly kind: 'size';
  readonly items: readonly PickleValue[];
}

/** An instance of `pegaflow.ipc_wrapper.CudaIPCWrapper`, whose attributes arrive after it was made. */
interface Instance {
  readonly kind: 'instance';
  attributes: ReadonlyMap<string, PickleValue> | null;
}

interface Bytes {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

/** What the reader's stack holds. Every integer of a wrapper is far below 2^53. */
export type PickleValue = string | number | boolean | Bytes | Global | Tuple | Dict | Size | Instance;

type Kind = Exclude<PickleValue, string | number | boolean>['kind'];

/** Narrows a value to one kind. @throws IpcWrapperError naming what is there instead */
export function expectKind<K extends Kind>(
  value: PickleValue | undefined,
  kind: K,
  what: string,
): Extract<PickleValue, { kind: K }> {
  if (isKind(value, kind)) return value;
  throw new IpcWrapperError(`${what} is ${describe(value)}, not ${kind}`);
}

function isKind<K extends Kind>(value: PickleValue | undefined, kind: K): value is Extract<PickleValue, { kind: K }> {
  return typeof value === 'object' && value.kind === kind;
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
  if (typeof value === 'number' && value >= 0) return value;
  throw new IpcWrapperError(`${what} is ${describe(value)}, not an integer of 0 or more`);
}

export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'absent';
  if (typeof value !== 'object') return clip(JSON.stringify(value));
  return value.kind === 'global' ? clip(`${value.module}.${value.name}`) : `a ${value.kind}`;
}

/** Text of a message must not grow with the bytes that are complained about. */
function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
