import type { Epoch } from '../../../machines/index.ts';

/** What transfers that begin now belong to. */
export interface RankService {
  readonly epoch: Epoch;
  /** The epoch in which the server took this rank's registration; a `keep` changes the former only. */
  readonly registeredIn: Epoch;
}
