import type { EngineClock } from './engine-clock.ts';
import { storageError } from './engine-error.ts';
import type { EngineMetrics } from './engine-metrics.ts';
import { HostMemory } from './host-memory.ts';

/** A complete block on the host. Its mutable half belongs to the store. */
export interface StoredBlock {
  readonly key: string;
  readonly slots: readonly Buffer[];
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

/** The byte budget and the blocks that live in it, in the order of their last use. */
export class BlockStore {
  readonly #memory: HostMemory;
  readonly #clock: EngineClock;
  readonly #metrics: EngineMetrics;
  readonly #resident = new Map<string, StoredBlock>();

  constructor(capacityBytes: number, clock: EngineClock, metrics: EngineMetrics) {
    this.#memory = new HostMemory(capacityBytes);
    this.#clock = clock;
    this.#metrics = metrics;
    metrics.poolCapacityBytes.add(capacityBytes);
    for (const name of ['retained', 'reclaimable']) {
      metrics.cacheResidentBlocks.add(0, { class: name });
      metrics.cacheResidentBytesByClass?.add(0, { class: name });
    }
  }

  /** Host memory, evicting least recently used blocks to make room. All buffers or INTERNAL. */
  allocate(sizesBytes: readonly number[]): Buffer[] {
    const neededBytes = sizesBytes.reduce((sum, size) => sum + size, 0);
    if (!this.#makeRoom(neededBytes)) {
      this.#metrics.poolAllocFailures.add(1);
      throw storageError(`pinned pool exhausted while allocating ${neededBytes} bytes`);
    }
    this.#metrics.poolUsedBytes.add(neededBytes);
    return sizesBytes.map((size) => this.#memory.take(size));
  }

  /** Gives back host memory of which nobody has any use. */
  free(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) {
      this.#memory.give(buffer);
      this.#metrics.poolUsedBytes.add(-buffer.length);
    }
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
  insert(key: string, slots: readonly Buffer[]): void {
    const sizeBytes = slots.reduce((sum, slot) => sum + slot.length, 0);
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
    let evictedBytes = 0;
    let reclaimedBytes = 0;
    let stillReferencedBlocks = 0;
    const blocks = [...this.#resident.values()];
    for (const block of blocks) {
      evictedBytes += block.sizeBytes;
      if (block.pins > 0) stillReferencedBlocks += 1;
      else reclaimedBytes += block.sizeBytes;
      this.#evict(block, 'cleanup');
    }
    return { evictedBlocks: blocks.length, evictedBytes, reclaimedBytes, stillReferencedBlocks };
  }

  #makeRoom(neededBytes: number): boolean {
    let unseen = this.#resident.size;
    for (const block of this.#resident.values()) {
      if (this.#memory.hasRoomFor(neededBytes) || unseen === 0) break;
      unseen -= 1;
      if (block.pins > 0) this.touch(block.key);
      else this.#evict(block, 'pressure');
    }
    return this.#memory.hasRoomFor(neededBytes);
  }

  #evict(block: StoredBlock, reason: 'pressure' | 'cleanup'): void {
    this.#resident.delete(block.key);
    block.isResident = false;
    if (block.pins === 0) {
      this.free(block.slots);
      this.#metrics.cacheEvictionReclaimedBytes.add(block.sizeBytes);
    } else {
      this.#metrics.cacheEvictionsStillReferenced.add(1);
    }
    this.#metrics.cacheEvictions.add(1);
    this.#metrics.cacheResidenceDurationSeconds.record((this.#clock.nowMs() - block.residentSinceMs) / 1000, {
      reason,
    });
    this.#countResident(block, -1);
  }

  #countResident(block: StoredBlock, sign: 1 | -1): void {
    this.#metrics.cacheResidentBytes.add(sign * block.sizeBytes);
    this.#metrics.cacheResidentBlocks.add(sign, { class: 'retained' });
    this.#metrics.cacheResidentBytesByClass?.add(sign * block.sizeBytes, { class: 'retained' });
  }
}
