/**
 * What crosses between the scheduler's process and the workers': plain data that a structured clone or a pickle
 * carries. Every message repeats the latest announcement or report, so a lost one costs time, not truth.
 */
import type { Announcement, Epoch } from '../../machines/index.ts';

/** From the scheduler to every worker, once a step. */
export interface ConnectorMetadata {
  readonly announcement: Announcement;
  readonly loads: readonly LoadIntent[];
  readonly saves: readonly SaveIntent[];
}

/** "Fill these blocks from the cache before the request goes on." */
export interface LoadIntent {
  readonly requestId: string;
  /** The epoch in which every one of the leases was given; a worker in another one refuses them all without an RPC. */
  readonly epoch: Epoch;
  /** Of this load alone, among all loads and saves of one scheduler. Absent: repeats are not told from the first. */
  readonly transfer?: number;
  /** One for each storage group, not empty. */
  readonly leases: readonly LeasedBlocks[];
}

/** What was leased of one storage group, and where it goes. */
export interface LeasedBlocks {
  readonly groupId: number;
  /** 16 bytes. */
  readonly lease: Uint8Array;
  /** As long as the lease: block `i` of it goes to `blockIds[i]`; `null` gives it no destination. */
  readonly blockIds: readonly (number | null)[];
}

/** "These blocks are full: keep them." Parallel lists. */
export interface SaveIntent {
  readonly requestId: string;
  /** The epoch in which the save was scheduled; a worker in another one refuses, or some ranks alone would save. */
  readonly epoch: Epoch;
  /** As that of a load. */
  readonly transfer?: number;
  /** Storage group: the layers of this one are saved. */
  readonly groupId: number;
  readonly blockIds: readonly number[];
  readonly blockHashes: readonly Uint8Array[];
}

/** A save that was not even begun. */
export interface RefusedSave {
  readonly requestId: string;
  /** For people. */
  readonly reason: string;
}

/** Requests whose transfers ended, each once. vLLM: the two sets of `get_finished`. */
export interface FinishedTransfers {
  /** Finished requests whose saves have all ended (`finished_sending`). */
  readonly saved: readonly string[];
  /** Requests whose load ended, well or badly (`finished_recving`). */
  readonly loaded: readonly string[];
}

/** A load that ended badly: its blocks hold undefined bytes. Told no later than its request in `loaded`. */
export interface FailedLoad {
  readonly requestId: string;
  /**
   * Storage groups that the load was for. With more than one, vLLM cannot compute a part of the request again: it is to
   * be computed as a whole, or ended.
   */
  readonly groupIds: readonly number[];
  /** Of all these groups. */
  readonly blockIds: readonly number[];
  /** For people. */
  readonly reason: string;
}
