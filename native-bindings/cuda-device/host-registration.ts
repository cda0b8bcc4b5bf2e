import { check } from '../cudart/check.ts';
import { cudaHostRegisterPortable } from '../cudart/declarations.ts';
import type { Cudart } from '../cudart/library.ts';
import { checkSize } from '../device-range.ts';
import { hostAddressOf } from '../foreign-function.ts';

/** Holds its bytes, because pinned memory that is freed stays pinned, and their address, because bytes can be transferred. */
export class HostRegistration implements Disposable {
  readonly #cudart: Cudart;
  #pinned: { readonly bytes: Uint8Array; readonly address: bigint } | null;

  constructor(cudart: Cudart, bytes: Uint8Array) {
    const { runtime } = cudart;
    checkSize('cudaHostRegister', bytes.length);
    const address = hostAddressOf(bytes);
    check(runtime, runtime.cudaHostRegister(address, bytes.length, cudaHostRegisterPortable), 'cudaHostRegister');
    this.#cudart = cudart;
    this.#pinned = { bytes, address };
  }

  [Symbol.dispose](): void {
    const pinned = this.#pinned;
    if (pinned === null) return;
    this.#pinned = null;
    const { runtime } = this.#cudart;
    check(runtime, runtime.cudaHostUnregister(pinned.address), 'cudaHostUnregister');
  }
}
