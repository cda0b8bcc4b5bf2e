import type { MethodFault } from './faults.ts';

/** What a handler knows of its caller. */
export interface Call {
  /** Aborted when the caller is gone or its deadline has passed; the reason is what the call then fails with. */
  readonly signal: AbortSignal;
  readonly fault: MethodFault;
}
