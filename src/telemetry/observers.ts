import type { Fault } from '../../machines/index.ts';

/** What the façades tell of what no machine knows. Nothing here names a block, a hash, a lease or a handle. */

/** As `QueryOutcome` has it. */
export interface QueryRecord {
  readonly kind: 'hit' | 'loading' | 'miss';
  readonly reason?: string;
}

/** As `TransferOutcome` has it, for one load or save. */
export interface TransferRecord {
  readonly kind: 'load' | 'save';
  readonly outcome: 'succeeded' | 'failed' | 'refused';
  /** From its submission; 0 where it was refused. */
  readonly tookMs: number;
}

export interface ToldRelease {
  readonly kind: 'load' | 'save';
  readonly blocks: number;
  readonly ageMs: number;
  readonly reason: string;
}

/** Hears of the connection under either half. */
export interface ConnectionObserver {
  /** A ping left so much too late: the event loop was blocked. */
  stalled(stallMs: number): void;
  /** The server refused a call in words that are not known. */
  refusedInUnknownWords(fault: Fault): void;
}

export interface SchedulerObserver extends ConnectionObserver {
  queried(query: QueryRecord): void;
  /** An answer came for an epoch or a request that is over. */
  fenced(): void;
}

export interface WorkerObserver extends ConnectionObserver {
  /** Evidence arrived for a registration that is over. */
  fenced(): void;
  /** A load was refused because its lease is of another epoch. */
  refusedStaleLease(): void;
  ended(transfer: TransferRecord): void;
  quarantined(kind: TransferRecord['kind'], blocks: number): void;
  leftQuarantine(kind: TransferRecord['kind'], blocks: number, by: string): void;
  releasedUnsafely(release: ToldRelease): void;
}
