import type { Global } from './pickle-values.ts';
import { torchDtypes } from './torch-dtypes.ts';

const TORCH = 'torch';

type Name = Pick<Global, 'module' | 'name'>;

/** The class whose instances the server unpickles. */
export const wrapperClass = { module: 'pegaflow.ipc_wrapper', name: 'CudaIPCWrapper' } as const;

/** The class of a tensor's shape. */
export const sizeClass = { module: TORCH, name: 'Size' } as const;

/** Before protocol 3 there were no bytes: CPython writes them as Latin-1 text that this function of Python turns back. */
export const latin1Encoder = { module: '_codecs', name: 'encode' } as const;

/** What CPython writes for bytes of length 0 up to protocol 2; the module has its name of Python 2 there. */
export const bytesClass = { module: 'builtins', name: 'bytes' } as const;

/** The function and the class with which protocols 0 and 1 make an object. */
export const reconstructor = { module: 'copyreg', name: '_reconstructor' } as const;
export const objectClass = { module: 'builtins', name: 'object' } as const;

/** Classes of plain values that a stray attribute may have, where the protocol has no opcode for them. */
const plainClasses: readonly Name[] = ['set', 'frozenset', 'bytearray', 'complex'].map((name) => ({
  module: 'builtins',
  name,
}));

const nowNamed: ReadonlyMap<string, string> = new Map([
  ['__builtin__', 'builtins'],
  ['copy_reg', 'copyreg'],
]);

export const dtypeModule = TORCH;

/** A global by the names of Python 3, as protocols below 3 write those of Python 2. */
export function globalOf(module: string, name: string): Global {
  return { kind: 'global', module: nowNamed.get(module) ?? module, name };
}

export function isGlobal(value: Global, expected: Name): boolean {
  return value.module === expected.module && value.name === expected.name;
}

/** The name of the dtype that a global stands for; `null` for any other global. */
export function dtypeOf({ module, name }: Global): string | null {
  return module === TORCH && torchDtypes.has(name) ? name : null;
}

export function isPlainClass(value: Global): boolean {
  return plainClasses.some((expected) => isGlobal(value, expected));
}

/** Whether a wrapper has any business with this name. */
export function isKnownGlobal(value: Global): boolean {
  return (
    dtypeOf(value) !== null ||
    isPlainClass(value) ||
    [wrapperClass, sizeClass, latin1Encoder, bytesClass, reconstructor, objectClass].some((expected) =>
      isGlobal(value, expected),
    )
  );
}
