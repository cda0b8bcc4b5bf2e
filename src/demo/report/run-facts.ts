/** What a report is computed from. */
import type { DemoEvent } from '../journal.ts';
import type { LeakCounts } from '../leaks.ts';
import type { ServerLogReport } from '../server/server-log.ts';

export interface RunFacts {
  readonly events: readonly DemoEvent[];
  /** Keys of each request's blocks, in prefix order. */
  readonly requestBlocks: ReadonlyMap<string, readonly string[]>;
  readonly ranks: number;
  /** Whether any rank's save fills a block, as with MLA. */
  readonly ranksShareBlocks: boolean;
  readonly blockBytesStored: number;
  /** `null`: nobody knows. */
  readonly poolSizeBytes: number | null;
  /** Somebody else may stop the server at any time, and need not tell. */
  readonly isServerForeign: boolean;
  /** `null`: it is not ours to read. */
  readonly serverLog: ServerLogReport | null;
  readonly durationMs: number;
  readonly leaks: LeakCounts;
}

/** The keys of a request's blocks. */
export function blocksOf({ requestBlocks }: RunFacts, requestId: string): readonly string[] {
  return requestBlocks.get(requestId) ?? [];
}
