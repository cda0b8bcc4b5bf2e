/** The two messages between the roles. Both are level-triggered: repeated until a newer one supersedes them. */

import type { Fault } from '../faults.ts';
import type { Epoch } from './epoch.ts';
import type { Proof } from './proof.ts';

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
  /** Rises with every announcement of this scheduler, also within an epoch. Absent where an older scheduler speaks. */
  readonly number?: number;
  /**
   * Ranks that had left this scheduler for another one when they reported last. Only a scheduler that lives can name the
   * change: a late word of one that has ended cannot. Absent: none.
   */
  readonly recalls?: readonly Recall[];
  /**
   * With `register`: ranks registered where this scheduler does not find them, so the roles may be at different servers.
   * Dial again before you register. Absent: no.
   */
  readonly dialsAfresh?: true;
  /** With `register`: the server's version, which a registration has to name. Absent where an older scheduler speaks. */
  readonly serverVersion?: string;
  /** Every rank has registered in this epoch, and the server says sealed. Not looked at by the machines. Absent: not yet. */
  readonly isSealed?: true;
  /** The trace that this belongs to, as W3C Trace Context writes it; carried, and never looked at. Absent without one. */
  readonly traceparent?: string;
  /** What replaced workers have left; carried, and never looked at by the machines. Absent: nothing. */
  readonly inherited?: readonly InheritedTransfers[];
}

/** What a worker that was replaced had, or may have had, under way: the one in its place tells it as over. */
export interface InheritedTransfers {
  readonly rank: number;
  /** Of the worker in its place. */
  readonly workerBootId: string;
  readonly loads: readonly InheritedLoad[];
  readonly saves: readonly InheritedSaves[];
}

export interface InheritedLoad {
  readonly requestId: string;
  /** Of this load alone, among all loads and saves of the scheduler. */
  readonly transfer: number;
  readonly groupIds: readonly number[];
  readonly blockIds: readonly number[];
}

/** All saves of one request. */
export interface InheritedSaves {
  readonly requestId: string;
  readonly transfers: readonly number[];
  /** Whether the request has finished, which the worker before may have been told. */
  readonly isFinished: boolean;
}

export interface Recall {
  readonly workerBootId: string;
  readonly turn: number;
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
  /** Of the announcement that this report follows; 0 before the first. Absent where an older rank speaks. */
  readonly number?: number;
  /** How often this rank has changed its scheduler. Absent where an older rank speaks. */
  readonly turn?: number;
  /** Boot ids of schedulers that it has left, and hears again only when they recall it. Absent: none. */
  readonly former?: readonly string[];
  /**
   * - `pending`: not answered yet
   * - `registered`, `kept`: the server confirmed this rank's registration in this epoch
   * - `failed`: Register or the check of a `keep` was refused
   * - `lost`: confirmed once, then refuted by the server's own answers
   * - `stopped`: this rank does nothing any more, whatever is announced
   */
  readonly outcome: RankOutcome;
  /** A Register was given up without an answer, and none was answered since: the server may still take it. Absent: no. */
  readonly isRegisterOpen?: true;
  /** Why `failed` or `lost`; with `pending`, what the rank waits for. */
  readonly fault: Fault | null;
  /** No load may still write and no save may still read this rank's memory. */
  readonly idle: boolean;
  /**
   * A clear would meet no copy of this rank, as far as it can know: what is under way is in doubt alone, and the server's queues
   * have passed it. Absent where an older rank speaks: as `idle`.
   */
  readonly isQuiet?: boolean;
  /** Of what is under way and that only proof can end, whether the end of its registration would be that. Absent: `none`. */
  readonly doubt?: 'none' | 'provable' | 'held';
  /** A new generation would prove the end of what is in doubt. Absent: no. */
  readonly asksProof?: boolean;
  /** Whether the rank begins loads and saves that it is told of. */
  readonly serves: boolean;
  /** Whether its link to the server is up. Absent where an older rank speaks. */
  readonly reaches?: boolean;
  /** A rank that the host gave a channel reports again within so many milliseconds, whatever happens. Absent without one. */
  readonly againWithinMs?: number;
  /** Of the server that took this rank's last registration. Absent before the first. */
  readonly serverVersion?: string;
  /** Names a layer that has, or may have, a storage offset, which some servers do not check. Absent: there is none. */
  readonly layerWithOffset?: string;
  /** Absent while there never was any. */
  readonly distrust?: ReportedDistrust;
  /** Of what is held, the group of which most is. Absent: nothing is held. */
  readonly held?: ReportedHeld;
  /** Absent until somebody looked, and where an older rank speaks. */
  readonly proof?: Proof;
  /** What the server made of this process's work. Absent while it refused none. */
  readonly work?: { readonly loads: ReportedWork; readonly saves: ReportedWork };
}

/** Blocks of one storage group that the server may still touch although its link or its answer is gone. */
export interface ReportedHeld {
  readonly groupId: number;
  /** Each counted once. */
  readonly blocks: number;
  /** That the rank has in this group. */
  readonly ofBlocks: number;
}

/** Of one kind of work, since the rank's process began. */
export interface ReportedWork {
  /** Pieces that were carried out. */
  readonly succeeded: number;
  /** The newest refusals: of the work as such, not for want of a registration or of a server. */
  readonly refusals: readonly ReportedRefusal[];
}

export interface ReportedRefusal {
  /** Counts from 1: a refusal that is repeated in the next report is the same one. */
  readonly number: number;
  readonly requestId: string;
  readonly fault: Fault;
  /** Of no request: every piece of this work would be refused. Absent: no. */
  readonly isOfAll?: true;
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

/** `identifies`: the answer waits until it is known which process holds the instance, at most `identifyTimeoutMs`. */
export interface SurveyInput {
  readonly identifies: boolean;
}

/** What the side-effect-free probe found. */
export type Survey =
  | { readonly kind: 'sealed' }
  | { readonly kind: 'incomplete'; readonly registered: number; readonly expected: number }
  | { readonly kind: 'notFound' };
