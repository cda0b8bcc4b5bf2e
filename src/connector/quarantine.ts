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

/** Counts what is in quarantine: begun, its link or its RPC ended without an answer, and nothing proved yet. */
export class Quarantine {
  #inside = new Set<TransferSubject>();
  #entered = { load: 0, save: 0 };
  #ended = { load: noEnds(), save: noEnds() };

  enter(subject: TransferSubject): void {
    this.#inside.add(subject);
    this.#entered[subject.kind] += 1;
  }

  /** Whether it was in; does nothing for a transfer that never came in. */
  leave(subject: TransferSubject, by: TransferEnd): boolean {
    const wasInside = this.#inside.delete(subject);
    if (wasInside) this.#ended[subject.kind][by] += 1;
    return wasInside;
  }

  counts(kind: TransferSubject['kind']): QuarantineCounts {
    const inside = [...this.#inside].filter((subject) => subject.kind === kind);
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
