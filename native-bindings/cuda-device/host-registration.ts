import { check } from '../cudart/check.ts';
import { cudaHostRegisterPortable } from '../cudart/declarations.ts';
import type { Cudart } from '../cudart/library.ts';
import { checkSize } from '../device-range.ts';
import { hostAddressOf } from '../foreign-function.ts';

/** Keeps its bytes from being collected: pinned memory that is freed stays pinned, and its pages are lost. */
export class HostRegistration implements Disposable {
  readonly #cudart: Cudart;
  #bytes: Uint8Array | null;

  constructor(cudart: Cudart, bytes: Uint8Array) {
    const { runtime } = cudart;
    checkSize('cudaHostRegister', bytes.length);
    const code = runtime.cudaHostRegister(hostAddressOf(bytes), bytes.length, cudaHostRegisterPortable);
    check(runtime, code, 'cudaHostRegister');
    this.#cudart = cudart;
    this.#bytes = bytes;
  }

  [Symbol.dispose](): void {
    const bytes = this.#bytes;
    if (bytes === null) return;
    this.#bytes = null;
    const { runtime } = this.#cudart;
    check(runtime, runtime.cudaHostUnregister(hostAddressOf(bytes)), 'cudaHostUnregister');
  }
}
