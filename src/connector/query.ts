export interface Query {
  readonly requestId: string;
  /** Group 0: in prefix order. */
  readonly blockHashes: readonly Uint8Array[];
  /**
   * Storage group whose blocks are asked for. 0, the default: the full-attention group, which hits from the first block
   * to the first gap. Above 0 each block is there or not, whatever is before it.
   */
  readonly groupId?: number;
  /** Less than all of these blocks is a miss, and nothing is held. Default false. */
  readonly isAllOrNothing?: boolean;
}

/** What a query found. A missing cache is an outcome, never an exception. */
export type QueryOutcome =
  /**
   * `blocks` blocks are held for this request until it loads or releases them: the first ones that were asked for, or in
   * a group above 0 those at `positions` of the query, ascending.
   */
  | { readonly kind: 'hit'; readonly blocks: number; readonly positions?: readonly number[] }
  /** The server is fetching them: ask again. */
  | { readonly kind: 'loading' }
  | { readonly kind: 'miss'; readonly reason: MissReason };

/**
 * - `notCached`: the server has none of these blocks, or not all where all were asked for
 * - `notConnected`: there is no server in service; no RPC was made
 * - `failed`: the server refused, or did not answer in time, or leaves too many earlier queries unanswered to be asked
 * - `superseded`: the answer belongs to an epoch that is over, or came when the request had finished or asked anew
 * - `distrusted`: the server may hold other content under the first of these hashes: see {@link ReportedDistrust}
 * - `withdrawn`: the load of the last hit failed, of this request or twice of the first of these blocks
 * - `breakerOpen`: the server fails queries or loads again and again, so that only one is tried now and then; no RPC was made
 * - `heldLimit`: a rank holds as many blocks as `maxHeldBlocksShare` allows for a server that is silent or gone; no RPC was made
 */
export type MissReason =
  | 'notCached'
  | 'notConnected'
  | 'failed'
  | 'superseded'
  | 'distrusted'
  | 'withdrawn'
  | 'breakerOpen'
  | 'heldLimit';

export const miss = (reason: MissReason): QueryOutcome => ({ kind: 'miss', reason });

/** Queries by what they found. */
export type QueryCounts = Record<'hit' | 'loading' | MissReason, number>;

export function noQueries(): QueryCounts {
  return {
    hit: 0,
    loading: 0,
    notCached: 0,
    notConnected: 0,
    failed: 0,
    superseded: 0,
    distrusted: 0,
    withdrawn: 0,
    breakerOpen: 0,
    heldLimit: 0,
  };
}

/** Blocks of the queries that hit or missed, and of them those that hit. */
export interface BlockCounts {
  asked: number;
  hit: number;
}

export interface CountedQueries {
  readonly queries: QueryCounts;
  readonly blocks: BlockCounts;
}

export function countQuery({ queries, blocks }: CountedQueries, { blockHashes }: Query, outcome: QueryOutcome): void {
  queries[outcome.kind === 'miss' ? outcome.reason : outcome.kind] += 1;
  if (outcome.kind !== 'loading') blocks.asked += blockHashes.length;
  if (outcome.kind === 'hit') blocks.hit += outcome.blocks;
}
