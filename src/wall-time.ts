/** Readings that are taken of the wall clock; the one that nothing came between counts. */
const READINGS = 8;

let originMs: number | null = null;

/**
 * Wall time in milliseconds with fraction; monotonic within one process, and within a millisecond of other processes of
 * this host.
 */
export function wallTimeMs(): number {
  originMs ??= measuredOriginMs();
  return originMs + performance.now();
}

/**
 * `performance.timeOrigin`, moved into the millisecond that the wall clock names. Node takes it from two clocks, one after
 * the other; a process that was descheduled between the two has it wrong by that time: 20 ms, with eight busy loops on
 * two cores.
 */
function measuredOriginMs(): number {
  const { timeOrigin } = performance;
  const readings = Array.from({ length: READINGS }, () => {
    const wallMs = Date.now();
    return timeOrigin + performance.now() - wallMs;
  });
  const aheadMs = Math.min(...readings);
  const withinMs = Math.min(Math.max(aheadMs, 0), 1);
  return timeOrigin - (aheadMs - withinMs);
}
