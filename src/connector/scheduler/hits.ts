import { hash } from 'node:crypto';
import type { Epoch } from '../../../machines/index.ts';
import type { QueryReady } from '../../gen/pegaflow/engine_pb.ts';
import { piecesOf } from '../copied.ts';
import type { LoadIntent } from '../metadata.ts';
import type { Query, QueryOutcome } from '../query.ts';
import type { HeldLease } from './leases.ts';

/** Which blocks of a query are there. */
export interface FoundBlocks {
  readonly blocks: number;
  /** Of each block in the query; `null` in group 0, where they are the first ones. */
  readonly positions: readonly number[] | null;
}

/** What the server promised to keep for one request, in one storage group, until it is loaded. */
export interface Hit extends HeldLease, FoundBlocks {
  readonly groupId: number;
  /** What was asked for. */
  readonly digest: string;
  /** Of the blocks that may be loaded, in order. */
  readonly blockHashes: readonly Uint8Array[];
  /** All blocks of the lease; those beyond `blocks` are not to be used. */
  readonly leasedBlocks: number;
  /** When the lease was given, in milliseconds of the monotonic clock. */
  readonly sinceMs: number;
}

/** Hits that a request is about to load, all of one epoch. */
export interface TakenHits {
  readonly epoch: Epoch;
  readonly hits: readonly Hit[];
}

/** GPU blocks for the blocks of a hit, in order; `null` leaves one where it is. */
export type BlockIds = readonly (number | null)[];

/** GPU blocks by storage group. */
export type BlockIdsByGroup = { readonly [groupId: number]: BlockIds };

/** A list alone is for group 0. */
export function blockIdsByGroup(blockIds: BlockIds | BlockIdsByGroup): BlockIdsByGroup {
  return isList(blockIds) ? { 0: blockIds } : blockIds;
}

function isList(blockIds: BlockIds | BlockIdsByGroup): blockIds is BlockIds {
  return Array.isArray(blockIds);
}

/**
 * A short name of everything that a query's result belongs to: epoch, group and hashes, each with its length. The server
 * keys running prefetches by the request id alone and keeps them across our epochs, so the id on the wire ends with it.
 */
export function namedQuery(epoch: Epoch, { groupId = 0, blockHashes }: Query): NamedQuery {
  const head = Buffer.from(`${epoch.schedulerBootId}/${epoch.counter}/${groupId}/${blockHashes.length}/`);
  const lengths = new Uint32Array(blockHashes.length);
  for (const [index, blockHash] of blockHashes.entries()) lengths[index] = blockHash.length;
  const named = Buffer.concat([head, new Uint8Array(lengths.buffer), ...blockHashes]);
  const copiedHashes = () => piecesOf(named, lengths, head.length + lengths.byteLength);
  return { digest: hash('sha256', named, 'base64url').slice(0, DIGEST_LENGTH), copiedHashes };
}

export interface NamedQuery {
  readonly digest: string;
  /** As they were when they were named: a host may use the memory of its own at once for others. */
  readonly copiedHashes: () => Uint8Array[];
}

/** 132 bits in base64url: no two queries share one by chance. */
const DIGEST_LENGTH = 22;

/** Which blocks an answer speaks of, or `null` where it cannot belong to the query. */
export function blocksOf(
  { numHitBlocks, hitPositions }: QueryReady,
  { groupId = 0, blockHashes }: Query,
): FoundBlocks | null {
  const blocks = Number(numHitBlocks);
  if (groupId === 0) return blocks <= blockHashes.length ? { blocks, positions: null } : null;
  const isPossible = (position: number, index: number) =>
    position > (hitPositions[index - 1] ?? -1) && position < blockHashes.length;
  const fits = hitPositions.length === blocks && hitPositions.every(isPossible);
  return fits ? { blocks, positions: hitPositions } : null;
}

/** Whether these blocks are a hit for the query, or too few. */
export function isEnough(
  { blocks }: Pick<FoundBlocks, 'blocks'>,
  { isAllOrNothing = false, blockHashes }: Query,
): boolean {
  return blocks >= (isAllOrNothing ? Math.max(blockHashes.length, 1) : 1);
}

export function outcomeOf({ blocks, positions }: FoundBlocks): QueryOutcome {
  return positions === null ? { kind: 'hit', blocks } : { kind: 'hit', blocks, positions };
}

/** Throws a RangeError where there are more block ids than blocks. */
export function checkFits(requestId: string, groupId: number, blockIds: BlockIds, blocks: number): void {
  if (blockIds.length > blocks) {
    throw new RangeError(
      `request ${requestId}: ${blockIds.length} block ids for a hit of ${blocks} blocks in group ${groupId}`,
    );
  }
}

/** The load of these hits into these blocks. Throws a RangeError where a list is longer than its hit. */
export function loadIntentFrom(requestId: string, { epoch, hits }: TakenHits, byGroup: BlockIdsByGroup): LoadIntent {
  const leases = hits.map(({ groupId, lease, blocks, leasedBlocks }) => {
    const blockIds = byGroup[groupId] ?? [];
    checkFits(requestId, groupId, blockIds, blocks);
    // The server wants a target for each block of the lease.
    return { groupId, lease, blockIds: Array.from({ length: leasedBlocks }, (_, index) => blockIds[index] ?? null) };
  });
  return { requestId, epoch, leases };
}
