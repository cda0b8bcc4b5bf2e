import type { TransferEvents, TransferOutcome, UnsafeRelease } from '../../src/connector/transfers/transfer.ts';

/** Writes down what one transfer tells. */
export class TransferRecord {
  readonly outcomes: TransferOutcome[] = [];
  readonly releases: UnsafeRelease[] = [];
  /** Everything, in order; a fault by its kind. */
  readonly said: string[] = [];

  readonly events: TransferEvents = {
    ended: (outcome) => {
      this.outcomes.push(outcome);
      this.said.push(`${outcome.kind} by ${outcome.by}`);
    },
    refused: ({ kind }) => this.said.push(`refused: ${kind}`),
    refuted: ({ kind }) => this.said.push(`refuted: ${kind}`),
    inDoubt: () => this.said.push('inDoubt'),
    refusedAfterRelease: () => {},
    begun: () => {},
    doubted: () => {},
    overtook: () => {},
    releasedUnsafely: (release) => {
      this.releases.push(release);
      this.said.push('released unsafely');
    },
  };
}
