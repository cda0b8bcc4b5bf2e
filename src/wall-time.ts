/** Wall time in milliseconds with fraction; monotonic within one process. */
export function wallTimeMs(): number {
  return performance.timeOrigin + performance.now();
}
