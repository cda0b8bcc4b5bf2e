import type { ReportedHeld } from '../../../machines/index.ts';
import { BlockCounts } from './block-counts.ts';
import type { TransferEnd, TransferSubject } from './transfer.ts';

/** Transfers of one kind whose server may be gone, or may still touch their blocks. */
export interface QuarantineCounts {
  /** In quarantine now: a load may still write them, a save may still read them. */
  readonly blocks: number;
  readonly transfers: number;
  /** Transfers that came in since the start. */
  readonly entered: number;
  /** Transfers that left since the start, by what ended them. */
  readonly ended: Readonly<Record<TransferEnd, number>>;
}

/** What a transfer touches of one storage group. */
export interface GroupBlocks {
  readonly groupId: number;
  readonly blockIds: readonly number[];
  /** That the rank has in this group. */
  readonly ofBlocks: number;
}

/** Counts what is in quarantine: begun, its link or its RPC ended without an answer, and nothing proved yet. */
export class Quarantine {
  #inside = new Map<TransferSubject, readonly GroupBlocks[]>();
  #held = new BlockCounts();
  #entered = { load: 0, save: 0 };
  #ended = { load: noEnds(), save: noEnds() };

  enter(subject: TransferSubject, touched: readonly GroupBlocks[]): void {
    this.#inside.set(subject, touched);
    this.#entered[subject.kind] += 1;
    for (const { groupId, blockIds } of touched) this.#held.add(groupId, blockIds);
  }

  /** Whether it was in; does nothing for a transfer that never came in. */
  leave(subject: TransferSubject, by: TransferEnd): boolean {
    const touched = this.#inside.get(subject);
    if (touched === undefined) return false;
    this.#inside.delete(subject);
    this.#ended[subject.kind][by] += 1;
    for (const { groupId, blockIds } of touched) this.#held.remove(groupId, blockIds);
    return true;
  }

  /** Of the group of which most is held. `undefined`: nothing is. */
  get held(): ReportedHeld | undefined {
    let worst: ReportedHeld | undefined;
    for (const { groupId, ofBlocks } of [...this.#inside.values()].flat()) {
      const blocks = this.#held.blocksIn(groupId);
      const isWorse = worst === undefined || blocks * worst.ofBlocks > worst.blocks * ofBlocks;
      if (blocks > 0 && isWorse) worst = { groupId, blocks, ofBlocks };
    }
    return worst;
  }

  counts(kind: TransferSubject['kind']): QuarantineCounts {
    const inside = [...this.#inside.keys()].filter((subject) => subject.kind === kind);
    return {
      blocks: inside.reduce((sum, { blockIds }) => sum + blockIds.length, 0),
      transfers: inside.length,
      entered: this.#entered[kind],
      ended: { ...this.#ended[kind] },
    };
  }
}

function noEnds(): Record<TransferEnd, number> {
  return { record: 0, answer: 0, strongProof: 0, weakProof: 0, threadsGone: 0, unsafeRelease: 0 };
}
