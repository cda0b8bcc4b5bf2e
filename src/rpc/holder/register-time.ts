/** A thread that copies for one registration: the server starts two with each, and they end with it. */
export interface CopyThread {
  readonly tid: number;
  readonly copies: 'save' | 'load';
  /** Since boot, in 1/100 s: with the id it names a thread for good. */
  readonly startTicks: number;
}

/** From our Register to its answer, as far as it has come. The server starts two copy threads for us in that time. */
export interface RegisterTime {
  readonly sinceTicks: number;
  readonly untilTicks: number;
}

/** The clock is read beside the call: a tick on either side may be ours, and a thread too many costs patience alone. */
export function isStartedIn({ sinceTicks, untilTicks }: RegisterTime, { startTicks }: CopyThread): boolean {
  return startTicks >= sinceTicks - 1 && startTicks <= untilTicks + 1;
}
