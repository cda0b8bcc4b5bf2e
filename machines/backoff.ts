/** How long to wait before the next attempt. */
export interface Backoff {
  /** Ceiling of the first wait, in milliseconds. */
  readonly firstMs: number;
  /** Factor from one ceiling to the next. */
  readonly growth: number;
  /** Highest ceiling, in milliseconds. */
  readonly maxMs: number;
}

/** Ceiling of the wait after `failedAttempts` failures, in milliseconds; full jitter draws from [0, ceiling). */
export function backoffCeilingMs(failedAttempts: number, { firstMs, growth, maxMs }: Backoff): number {
  return Math.min(maxMs, firstMs * growth ** Math.max(0, failedAttempts - 1));
}
