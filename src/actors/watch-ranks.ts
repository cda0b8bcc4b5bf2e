import { fromCallback } from 'xstate';
import type { Fault, SchedulerEvent } from '../../machines/index.ts';
import type { OwnerOf } from './owners.ts';

export interface AttendanceOwner {
  /** Tells of each rank that is missed from now on, until the function that comes back is called. */
  readonly watchRanks: (onMissed: (rank: number, isSilent: boolean, fault: Fault) => void) => () => void;
}

/** While the cache is in service: tells of ranks that do not serve, or are not heard. */
export const createWatchRanks = (ownerOf: OwnerOf<AttendanceOwner>) =>
  fromCallback<SchedulerEvent>(({ sendBack, system }) =>
    ownerOf(system).watchRanks((rank, isSilent, fault) => sendBack({ type: 'rank.missed', rank, isSilent, fault })),
  );
