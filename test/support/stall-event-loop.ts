/** Nothing else of this thread runs for so many milliseconds. Burns no core, which would starve the server as well. */
export function stallEventLoop(stallMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
}
