import type { EngineLog } from '../engine-log.ts';
import type { EngineMetrics } from '../engine-metrics.ts';
import { type EngineClock, sleep } from '../timing/engine-clock.ts';
import { SerialQueue } from '../timing/serial-queue.ts';
import { type BlockStore, type StoredSlot, slotSizeBytes } from './block-store.ts';

/** One slot of one block, copied and not yet visible. */
export interface FilledSlot {
  readonly key: string;
  readonly slot: number;
  readonly slotCount: number;
  readonly stored: StoredSlot;
}

interface PartialBlock {
  readonly slots: (StoredSlot | null)[];
  readonly sinceMs: number;
  sizeBytes: number;
  missing: number;
}

export interface InsertionDependencies {
  readonly blocks: BlockStore;
  readonly clock: EngineClock;
  readonly log: EngineLog;
  readonly metrics: EngineMetrics;
  /** Extra milliseconds before a save becomes visible. */
  readonly delayMs: () => number;
}

/**
 * Makes saved blocks visible, in order, after their Save was answered. A block with open slots is kept here, whatever
 * becomes of the instance that saved it.
 */
export class InsertionQueue {
  readonly #dependencies: InsertionDependencies;
  readonly #partials = new Map<string, PartialBlock>();
  readonly #thread = new SerialQueue();
  readonly #backlog: (readonly FilledSlot[])[] = [];

  constructor(dependencies: InsertionDependencies) {
    this.#dependencies = dependencies;
  }

  /** Takes over the memory of the slots and returns at once. */
  enqueue(filled: readonly FilledSlot[]): void {
    this.#backlog.push(filled);
    if (this.#backlog.length === 1) void this.#thread.run(() => this.#drain());
  }

  /** One turn of the event loop lets everything that was saved until then become visible: a busy loop does not make it queue. */
  async #drain(): Promise<void> {
    const { clock, delayMs } = this.#dependencies;
    while (this.#backlog.length > 0) {
      await sleep(clock, delayMs());
      const ready = delayMs() > 0 ? 1 : this.#backlog.length;
      for (const save of this.#backlog.splice(0, ready)) this.#insertAll(save);
    }
  }

  /** Drops partial blocks older than `maxAgeMs`. */
  collectGarbage(maxAgeMs: number): void {
    const { blocks, clock, metrics } = this.#dependencies;
    for (const [key, partial] of this.#partials) {
      if (clock.nowMs() - partial.sinceMs <= maxAgeMs) continue;
      this.#partials.delete(key);
      blocks.free(partial.slots.filter((slot) => slot !== null));
      metrics.inflightBytes.add(-partial.sizeBytes);
      metrics.inflightGcCleaned.add(1);
    }
  }

  /**
   * The blocks that a Save completes become resident together, behind its last slot: what names one of them again begins a
   * partial block, as at the server.
   */
  #insertAll(save: readonly FilledSlot[]): void {
    const { blocks } = this.#dependencies;
    for (const [key, slots] of save.flatMap((filled) => this.#fill(filled))) {
      if (blocks.has(key)) blocks.free(slots);
      else blocks.insert(key, slots);
    }
  }

  /** The block that is complete with this slot, or none. */
  #fill(filled: FilledSlot): (readonly [key: string, slots: readonly StoredSlot[]])[] {
    const { blocks, metrics } = this.#dependencies;
    const partial = this.#partialFor(filled);
    if (partial === null || partial.slots[filled.slot] !== null) {
      blocks.free([filled.stored]);
      return [];
    }
    const sizeBytes = slotSizeBytes(filled.stored);
    partial.slots[filled.slot] = filled.stored;
    partial.sizeBytes += sizeBytes;
    partial.missing -= 1;
    metrics.inflightBytes.add(sizeBytes);
    if (partial.missing > 0) return [];
    this.#partials.delete(filled.key);
    metrics.inflightBytes.add(-partial.sizeBytes);
    return [[filled.key, partial.slots.filter((slot) => slot !== null)]];
  }

  #partialFor({ key, slotCount }: FilledSlot): PartialBlock | null {
    const { blocks, clock, log } = this.#dependencies;
    if (blocks.has(key)) return null;
    const existing = this.#partials.get(key);
    if (existing === undefined) {
      const slots = new Array<StoredSlot | null>(slotCount).fill(null);
      const partial = { slots, sinceMs: clock.nowMs(), sizeBytes: 0, missing: slotCount };
      this.#partials.set(key, partial);
      return partial;
    }
    if (existing.slots.length === slotCount) return existing;
    log.error({ key }, `slot count mismatch: block has ${existing.slots.length} slots, save has ${slotCount}`);
    return null;
  }
}
