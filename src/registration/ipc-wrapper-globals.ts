import type { Global } from './pickle-values.ts';
import { torchDtypes } from './torch-dtypes.ts';

const TORCH = 'torch';

/** The class whose instances the server unpickles. */
export const wrapperClass = { module: 'pegaflow.ipc_wrapper', name: 'CudaIPCWrapper' } as const;

/** The class of a tensor's shape. */
export const sizeClass = { module: TORCH, name: 'Size' } as const;

/** Protocol 2 has no bytes of its own: CPython writes them as Latin-1 text that this function of Python turns back. */
export const latin1Encoder = { module: '_codecs', name: 'encode' } as const;

/** What CPython writes at protocol 2 for bytes of length 0. */
export const bytesClass = { module: '__builtin__', name: 'bytes' } as const;

export const dtypeModule = TORCH;

export function isGlobal(value: Global, expected: { readonly module: string; readonly name: string }): boolean {
  return value.module === expected.module && value.name === expected.name;
}

/** The name of the dtype that a global stands for; `null` for any other global. */
export function dtypeOf({ module, name }: Global): string | null {
  return module === TORCH && torchDtypes.has(name) ? name : null;
}

/** Whether a wrapper has any business with this name. */
export function isKnownGlobal(value: Global): boolean {
  return (
    dtypeOf(value) !== null ||
    [wrapperClass, sizeClass, latin1Encoder, bytesClass].some((expected) => isGlobal(value, expected))
  );
}
