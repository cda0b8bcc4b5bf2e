export interface Query {
  readonly requestId: string;
  /** In prefix order. */
  readonly blockHashes: readonly Uint8Array[];
}

/** What a query found. A missing cache is an outcome, never an exception. */
export type QueryOutcome =
  /** The first `blocks` blocks are held for this request until it loads or releases them. */
  | { readonly kind: 'hit'; readonly blocks: number }
  /** The server is fetching them: ask again. */
  | { readonly kind: 'loading' }
  | { readonly kind: 'miss'; readonly reason: MissReason };

/**
 * - `notCached`: the server has none of these blocks
 * - `notConnected`: there is no server in service; no RPC was made
 * - `failed`: the server refused, or did not answer in time
 * - `superseded`: the answer belongs to an epoch that is over, or came when the request had finished or asked anew
 * - `distrusted`: the server may hold other content under the first of these hashes: see {@link ReportedDistrust}
 */
export type MissReason = 'notCached' | 'notConnected' | 'failed' | 'superseded' | 'distrusted';
