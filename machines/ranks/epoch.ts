/**
 * Names one registration generation. Everything obtained from the server carries the epoch it belongs to, so that
 * what an earlier server gave is never taken for this one's.
 */
export interface Epoch {
  /** New at every start of the scheduler process: a counter that starts again cannot repeat an epoch. */
  readonly schedulerBootId: string;
  /** Rises by one with each generation; 0 before the first. */
  readonly counter: number;
}

export function isSameEpoch(a: Epoch, b: Epoch): boolean {
  return a.counter === b.counter && a.schedulerBootId === b.schedulerBootId;
}

/** Whether `next` replaces `held`: another boot always does, of one boot the higher counter. */
export function supersedes(next: Epoch, held: Epoch): boolean {
  return next.schedulerBootId !== held.schedulerBootId || next.counter > held.counter;
}
