import { createRequire } from 'node:module';
import type * as KoffiModule from 'koffi';

type Koffi = typeof KoffiModule;

const requireFromHere = createRequire(import.meta.url);
let loaded: Koffi | undefined;

/** koffi and its native addon, loaded by the first call that needs them: importing a module of this folder loads nothing. */
export function koffi(): Koffi {
  loaded ??= requireFromHere('koffi') as Koffi;
  return loaded;
}

/**
 * Binds one C function, taken from the first of `libraries` that has it.
 * `F` restates `prototype` in TypeScript: pointers are `bigint`, a null pointer is `null`.
 * @throws Error naming every library that was tried and why it would not do.
 */
// biome-ignore lint/suspicious/noExplicitAny: the bound of a function type over all parameter lists
export function bindFunction<F extends (...args: any[]) => unknown>(
  libraries: readonly string[],
  prototype: string,
): KoffiModule.KoffiFunc<F> {
  return fromFirst(libraries, prototype, (library) => library.func(prototype) as KoffiModule.KoffiFunc<F>);
}

/** Where a function lies that is given to C instead of being called from here. @throws Error as {@link bindFunction} does */
export function addressOfFunction(libraries: readonly string[], name: string): bigint {
  return fromFirst(libraries, name, (library) => koffi().address(library.symbol(name)));
}

function fromFirst<T>(libraries: readonly string[], what: string, take: (library: KoffiModule.LibraryHandle) => T): T {
  const refusals: string[] = [];
  for (const library of libraries) {
    try {
      return take(koffi().load(library));
    } catch (error) {
      refusals.push(`${library}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`cannot bind "${what}" (${refusals.join('; ')})`);
}

/** `errno` of the last foreign call on this thread. */
export function lastErrno(): number {
  return koffi().errno();
}
