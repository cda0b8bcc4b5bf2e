/** The life of one request in the scheduler, as vLLM's engine core leads it. */

import { setTimeout as pause } from 'node:timers/promises';
import type { QueryOutcome } from '../../connector/index.ts';
import { wallTimeMs } from '../../wall-time.ts';
import type { DemoEvent } from '../journal.ts';
import type { BlockPool } from './block-pool.ts';
import type { BlockContents } from './messages.ts';

/** Until a query that found its blocks on the way is asked again, in milliseconds: a step of a real engine. */
const LOADING_RETRY_MS = 10;

export interface IncomingRequest {
  readonly requestId: string;
  readonly blockHashes: readonly Uint8Array[];
}

/** What serving needs of the process around it. Each promise settles when every rank has said so. */
export interface Serving {
  readonly pool: BlockPool;
  query(request: IncomingRequest): Promise<QueryOutcome>;
  releaseHit(requestId: string): void;
  /** `null`: the hit is no longer valid. Otherwise settles with whether the load succeeded. */
  load(contents: BlockContents): Promise<boolean> | null;
  /** Computes the blocks and saves them. Settles when they are computed. */
  computeAndSave(contents: BlockContents): Promise<void>;
  /** Uses the blocks for as long as the answer takes. */
  decode(): Promise<void>;
  /** `null`: the blocks are free at once. Otherwise settles when they are. */
  finish(requestId: string): Promise<void> | null;
  record(event: DemoEvent): void;
}

export async function serveRequest(request: IncomingRequest, serving: Serving): Promise<void> {
  const { requestId, blockHashes } = request;
  const { blockIds, hitBlocks } = await admit(request, serving);
  const contentsAt = (positions: readonly number[]): BlockContents => ({
    requestId,
    blockIds: positions.flatMap((position) => blockIds[position] ?? []),
    blockHashes: positions.flatMap((position) => blockHashes[position] ?? []),
  });
  const all = [...blockHashes.keys()];
  const loaded = hitBlocks > 0 && (await load(contentsAt(all.slice(0, hitBlocks)), serving));

  const missing = loaded ? all.slice(hitBlocks) : all;
  if (missing.length > 0) {
    serving.record({ type: 'save.scheduled', atMs: wallTimeMs(), requestId, positions: missing });
    await serving.computeAndSave(contentsAt(missing));
  }

  await serving.decode();
  const freed = serving.finish(requestId);
  serving.record({ type: 'request.finished', atMs: wallTimeMs(), requestId, held: freed !== null });
  await freed;
  serving.record({ type: 'save.ended', atMs: wallTimeMs(), requestId });
  serving.pool.give(blockIds);
}

/** Asks the cache and takes blocks; where there are none, gives the hit up and asks again once there are. */
async function admit(request: IncomingRequest, serving: Serving) {
  const { requestId, blockHashes } = request;
  for (;;) {
    const outcome = await serving.query(request);
    if (outcome.kind === 'loading') {
      await pause(LOADING_RETRY_MS);
      continue;
    }
    const blockIds = serving.pool.take(blockHashes.length);
    const hitBlocks = outcome.kind === 'hit' ? outcome.blocks : 0;
    if (blockIds !== null) return { blockIds, hitBlocks };
    if (hitBlocks > 0) {
      serving.releaseHit(requestId);
      serving.record({ type: 'hit.released', atMs: wallTimeMs(), requestId });
    }
    await serving.pool.whenFree(blockHashes.length);
  }
}

async function load(contents: BlockContents, serving: Serving): Promise<boolean> {
  const { requestId, blockIds } = contents;
  const ended = serving.load(contents);
  if (ended === null) {
    serving.record({ type: 'load.refused', atMs: wallTimeMs(), requestId });
    return false;
  }
  serving.record({ type: 'load.scheduled', atMs: wallTimeMs(), requestId, blocks: blockIds.length });
  return ended;
}
