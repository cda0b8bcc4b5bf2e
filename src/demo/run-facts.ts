/** What a report is computed from. */
import type { DemoEvent } from './journal.ts';
import type { LeakCounts } from './leaks.ts';

export interface RunFacts {
  readonly events: readonly DemoEvent[];
  /** Keys of each request's blocks, in prefix order. */
  readonly requestBlocks: ReadonlyMap<string, readonly string[]>;
  readonly ranks: number;
  /** Whether any rank's save fills a block, as with MLA. */
  readonly ranksShareBlocks: boolean;
  readonly blockBytesStored: number;
  readonly poolSizeBytes: number;
  readonly durationMs: number;
  readonly leaks: LeakCounts;
}

/** The keys of a request's blocks. */
export function blocksOf({ requestBlocks }: RunFacts, requestId: string): readonly string[] {
  return requestBlocks.get(requestId) ?? [];
}
