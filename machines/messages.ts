/** The two messages between the roles. Both are level-triggered: repeated until a newer epoch supersedes them. */
import type { Epoch } from './epoch.ts';
import type { Fault } from './faults.ts';

/** From the scheduler to every rank. */
export interface Announcement {
  readonly epoch: Epoch;
  /**
   * - `wait`: a generation is about to begin; find the server and serve nothing until then
   * - `register`: the instance was cleared; register in this epoch
   * - `keep`: the registration of the epoch before seems to have survived; show that yours has
   * - `stop`: finish or drop what is under way; the instance will be unregistered
   */
  readonly action: 'wait' | 'register' | 'keep' | 'stop';
  /** With `register`: the server's version, which a registration has to name. Absent where an older scheduler speaks. */
  readonly serverVersion?: string;
  /** The trace that this belongs to, as W3C Trace Context writes it; carried, and never looked at. Absent without one. */
  readonly traceparent?: string;
}

/** From one rank to the scheduler. */
export interface RankReport {
  readonly rank: number;
  /** New at every start of the worker process. */
  readonly workerBootId: string;
  /** Rises with every report of this process: one that was overtaken on its way counts for nothing. */
  readonly sequence: number;
  /** The announced epoch that `outcome` speaks of. `null` before the first announcement. */
  readonly epoch: Epoch | null;
  /**
   * - `pending`: not answered yet
   * - `registered`, `kept`: the server confirmed this rank's registration in this epoch
   * - `failed`: Register or the check of a `keep` was refused
   * - `lost`: confirmed once, then refuted by the server's own answers
   * - `stopped`: this rank does nothing any more
   */
  readonly outcome: RankOutcome;
  /** Why `failed` or `lost`; with `pending`, what the rank waits for. */
  readonly fault: Fault | null;
  /** No load may still write and no save may still read this rank's memory. */
  readonly idle: boolean;
  /** Whether the rank begins loads and saves that it is told of. */
  readonly serves: boolean;
  /** Of the server that took this rank's last registration. Absent before the first. */
  readonly serverVersion?: string;
  /** Names a layer that has, or may have, a storage offset, which some servers do not check. Absent: there is none. */
  readonly layerWithOffset?: string;
  /** Absent while there never was any. */
  readonly distrust?: ReportedDistrust;
}

/**
 * Hashes that a living server may store other content under, because the blocks of a save were handed back before its
 * end was known: no hit on them is to be used. They outlive registrations; only the death of that server ends them.
 */
export interface ReportedDistrust {
  /** Rises with every change: a late report does not bring an older list back. */
  readonly revision: number;
  /** `all`: more than a report can name. */
  readonly hashes: readonly Uint8Array[] | 'all';
}

export type RankOutcome = 'pending' | 'registered' | 'kept' | 'failed' | 'lost' | 'stopped';

/** What the side-effect-free probe found. */
export type Survey =
  | { readonly kind: 'sealed' }
  | { readonly kind: 'incomplete'; readonly registered: number; readonly expected: number }
  | { readonly kind: 'notFound' };
