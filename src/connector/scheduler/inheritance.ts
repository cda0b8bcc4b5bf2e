import type { InheritedTransfers } from '../../../machines/index.ts';
import type { SchedulerRequests } from './scheduler-requests.ts';

/** Whom transfers fall to whose worker was replaced: the process before tells nothing more, and their requests wait. */
export class Inheritance {
  #ledger: SchedulerRequests;
  #workerBootIds = new Map<number, string>();
  #left: readonly InheritedTransfers[] = [];

  constructor(ledger: SchedulerRequests) {
    this.#ledger = ledger;
  }

  /** To be said with every announcement until the ranks have told it all. */
  get left(): readonly InheritedTransfers[] {
    return this.#left;
  }

  /** This process is the rank now. Returns whether {@link left} changed. */
  noteWorker(rank: number, workerBootId: string): boolean {
    if (this.#workerBootIds.get(rank) === workerBootId) return false;
    this.#workerBootIds.set(rank, workerBootId);
    const { loads, saves } = this.#ledger.underWay();
    if (loads.length + saves.length === 0) return false;
    const ofOthers = this.#left.filter((inherited) => inherited.rank !== rank);
    this.#left = [...ofOthers, { rank, workerBootId, loads, saves }];
    return true;
  }

  /** What has ended on all ranks need not be said any more. Returns whether all of it has. */
  forgetEnded(): boolean {
    if (this.#left.length === 0) return false;
    const { loads, saves } = this.#ledger.underWay();
    const numbers = new Set([...loads.map(({ transfer }) => transfer), ...saves.flatMap(({ transfers }) => transfers)]);
    this.#left = this.#left.filter(
      (inherited) =>
        inherited.loads.some(({ transfer }) => numbers.has(transfer)) ||
        inherited.saves.some(({ transfers }) => transfers.some((transfer) => numbers.has(transfer))),
    );
    return this.#left.length === 0;
  }
}
