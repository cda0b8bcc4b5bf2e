/** Counts of one run or of many. */
export const noTallies = () => ({
  seeds: 0,
  simulatedMs: 0,
  events: 0,
  faults: 0,
  recoveries: 0,
  queries: 0,
  loads: 0,
  failedLoads: 0,
  saves: 0,
  verifiedBytes: 0,
  /** Times that blocks stayed held until the server was killed. */
  unprovable: 0,
  /** Servers that a rank killed because they were silent. */
  fencings: 0,
  unsafeReleases: 0,
  /** Touches of blocks that were released unsafely. */
  unsafeTouches: 0,
  // Wrong blocks after a load that succeeded, by the excuse for it.
  lateWrite: 0,
  knowerGone: 0,
  wordUnderWay: 0,
});

export type Tallies = ReturnType<typeof noTallies>;

export function addTallies(sum: Tallies, more: Tallies): void {
  for (const name of Object.keys(sum) as (keyof Tallies)[]) sum[name] += more[name];
}
