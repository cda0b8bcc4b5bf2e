/** The value below which the fraction `q` of the samples lies, interpolated. Throws a RangeError when there is none. */
export function quantile(samples: readonly number[], q: number): number {
  if (samples.length === 0) throw new RangeError('no samples');
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)]!;
  const high = sorted[Math.ceil(at)]!;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** The clock that all processes of one machine share, in milliseconds with fraction. Linux: `CLOCK_MONOTONIC`. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
