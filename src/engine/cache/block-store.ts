import { storageError } from '../engine-error.ts';
import type { EngineMetrics } from '../engine-metrics.ts';
import type { EngineClock } from '../timing/engine-clock.ts';
import { HostPool, type PoolRegion } from './host-pool.ts';

/** One piece of a slot: all of it, or its K or V half. Each is one user of its region. */
export interface SlotPiece {
  readonly region: PoolRegion;
  readonly addressBytes: number;
}

/** One slot of a block: a piece, or K and V apart. */
export interface StoredSlot {
  readonly pieces: readonly SlotPiece[];
  readonly pieceSizeBytes: number;
}

export const slotSizeBytes = ({ pieces, pieceSizeBytes }: StoredSlot): number => pieces.length * pieceSizeBytes;

/** A complete block on the host. Its mutable half belongs to the store. */
export interface StoredBlock {
  readonly key: string;
  readonly slots: readonly StoredSlot[];
  readonly sizeBytes: number;
  readonly residentSinceMs: number;
  /** Leases and running loads that need the bytes. */
  pins: number;
  isResident: boolean;
}

export interface MemoryCleanup {
  readonly evictedBlocks: number;
  readonly evictedBytes: number;
  readonly reclaimedBytes: number;
  readonly stillReferencedBlocks: number;
}

/** Hash bytes as they are stored: group 0 as they are, another group with its number as big-endian u32 behind them. */
export const blockKey = (namespace: string, hash: Uint8Array, groupId: number): string => {
  const hex = Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('hex');
  const suffix = groupId === 0 ? '' : groupId.toString(16).padStart(8, '0');
  return `${hex}${suffix}:${namespace}`;
};

export interface BlockStoreDependencies {
  readonly poolSizeBytes: number;
  /** Whether the pool rounds sizes up to eight classes for each power of two. */
  readonly isPoolSizeClassed: boolean;
  readonly clock: EngineClock;
  readonly metrics: EngineMetrics;
}

/** So many blocks are evicted at once where memory is short, however little is needed. */
const EVICTION_ROUND_BLOCKS = 512;

/** What a piece of the pool is for, as refusals name it. */
export type BufferPurpose = 'block buffer' | 'K segment buffer' | 'V segment buffer' | 'page';

/** The pool and the blocks that live in it, in the order of their last use. */
export class BlockStore {
  readonly #pool: HostPool;
  readonly #clock: EngineClock;
  readonly #metrics: EngineMetrics;
  readonly #resident = new Map<string, StoredBlock>();
  #reportedBytes = 0;

  constructor({ poolSizeBytes, isPoolSizeClassed, clock, metrics }: BlockStoreDependencies) {
    this.#pool = new HostPool(poolSizeBytes, isPoolSizeClassed);
    this.#clock = clock;
    this.#metrics = metrics;
    metrics.poolCapacityBytes.add(poolSizeBytes);
  }

  /**
   * Memory in one piece for so many users. Evicts round by round until there is room; INTERNAL when nothing is left that
   * may be evicted.
   */
  allocate(sizeBytes: number, users: number, purpose: BufferPurpose): PoolRegion {
    for (;;) {
      const region = this.#pool.take(sizeBytes, users);
      if (region !== null) {
        this.#metrics.poolUsedBytes.add(this.#newlyUsedBytes());
        return region;
      }
      if (this.#evictRound() > 0) continue;
      this.#metrics.poolAllocFailures.add(1);
      throw storageError(`pinned pool exhausted while allocating ${purpose}`);
    }
  }

  /** One user of each region less. */
  release(regions: Iterable<PoolRegion>): void {
    for (const region of regions) this.#pool.release(region);
    this.#metrics.poolUsedBytes.add(this.#newlyUsedBytes());
  }

  /** Gives back slots of which nobody has any use. */
  free(slots: readonly StoredSlot[]): void {
    this.release(slots.flatMap(({ pieces }) => pieces.map(({ region }) => region)));
  }

  /** So many bytes from an address on, whatever lies there; fewer at the end of the pool. */
  view(addressBytes: number, sizeBytes: number): Buffer {
    return this.#pool.view(addressBytes, sizeBytes);
  }

  has(key: string): boolean {
    return this.#resident.has(key);
  }

  /** A resident block, which becomes the most recently used. */
  touch(key: string): StoredBlock | null {
    const block = this.#resident.get(key);
    if (block === undefined) return null;
    this.#resident.delete(key);
    this.#resident.set(key, block);
    return block;
  }

  /** Makes a complete block queryable. Its memory was allocated here. */
  insert(key: string, slots: readonly StoredSlot[]): void {
    const sizeBytes = slots.reduce((sum, slot) => sum + slotSizeBytes(slot), 0);
    const block: StoredBlock = {
      key,
      slots,
      sizeBytes,
      pins: 0,
      isResident: true,
      residentSinceMs: this.#clock.nowMs(),
    };
    this.#resident.set(key, block);
    this.#metrics.cacheInsertions.add(1);
    this.#countResident(block, 1);
  }

  /** Keeps the bytes of a block until the matching {@link unpin}. */
  pin(block: StoredBlock): void {
    block.pins += 1;
  }

  unpin(block: StoredBlock): void {
    block.pins -= 1;
    if (block.pins === 0 && !block.isResident) this.free(block.slots);
  }

  /** Removes every block from the index; the memory of pinned ones follows when their last owner ends. */
  evictAll(): MemoryCleanup {
    this.#showClasses();
    const usedBytes = this.#pool.usedBytes;
    let evictedBytes = 0;
    let stillReferencedBlocks = 0;
    const blocks = [...this.#resident.values()];
    for (const block of blocks) {
      evictedBytes += block.sizeBytes;
      if (block.pins > 0) stillReferencedBlocks += 1;
      this.#evict(block, 'cleanup');
    }
    const reclaimedBytes = this.#reclaimedSince(usedBytes);
    return { evictedBlocks: blocks.length, evictedBytes, reclaimedBytes, stillReferencedBlocks };
  }

  /** Passes over pinned blocks, which then count as used last. Returns how many blocks it evicted. */
  #evictRound(): number {
    this.#showClasses();
    const { usedBytes } = this.#pool;
    let evicted = 0;
    let unseen = this.#resident.size;
    for (const block of this.#resident.values()) {
      if (evicted === EVICTION_ROUND_BLOCKS || unseen === 0) break;
      unseen -= 1;
      if (block.pins > 0) {
        this.touch(block.key);
      } else {
        this.#evict(block, 'pressure');
        evicted += 1;
      }
    }
    this.#reclaimedSince(usedBytes);
    return evicted;
  }

  /** What an eviction gave back: nothing for a block whose region has other users. */
  #reclaimedSince(usedBytes: number): number {
    const reclaimedBytes = usedBytes - this.#pool.usedBytes;
    if (reclaimedBytes > 0) this.#metrics.cacheEvictionReclaimedBytes.add(reclaimedBytes);
    return reclaimedBytes;
  }

  /** Bytes since the last time that it was asked for. */
  #newlyUsedBytes(): number {
    const { usedBytes } = this.#pool;
    const newlyUsed = usedBytes - this.#reportedBytes;
    this.#reportedBytes = usedBytes;
    return newlyUsed;
  }

  #evict(block: StoredBlock, reason: 'pressure' | 'cleanup'): void {
    this.#resident.delete(block.key);
    block.isResident = false;
    if (block.pins === 0) this.free(block.slots);
    else this.#metrics.cacheEvictionsStillReferenced.add(1);
    this.#metrics.cacheEvictions.add(1);
    this.#metrics.cacheResidenceDurationSeconds.record((this.#clock.nowMs() - block.residentSinceMs) / 1000, {
      reason,
    });
    this.#countResident(block, -1);
  }

  /** Blocks are reclaimable once another server has them. There is none here, but an eviction tells of both classes. */
  #showClasses(): void {
    for (const name of ['retained', 'reclaimable']) {
      this.#metrics.cacheResidentBlocks.add(0, { class: name });
      this.#metrics.cacheResidentBytesByClass?.add(0, { class: name });
    }
  }

  #countResident(block: StoredBlock, sign: 1 | -1): void {
    this.#metrics.cacheResidentBytes.add(sign * block.sizeBytes);
    this.#metrics.cacheResidentBlocks.add(sign, { class: 'retained' });
    this.#metrics.cacheResidentBytesByClass?.add(sign * block.sizeBytes, { class: 'retained' });
  }
}
