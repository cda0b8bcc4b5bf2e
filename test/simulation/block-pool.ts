import type { UnsafeRelease } from '../../src/connector/index.ts';
import { compute, isContentOf } from './content.ts';
import type { SimulatedProcess } from './event-loop.ts';
import { nameOf } from './hearing.ts';
import type { Instance, Rank } from './instance.ts';
import { kernel } from './kernel.ts';
import type { Excuse, Taints } from './taints.ts';
import type { Tallies } from './tallies.ts';
import { Violation } from './violation.ts';

interface Block {
  owner: string | null;
  hash: Uint8Array | null;
  /** Given to a load that was not reported yet. */
  isLoading: boolean;
  /** Given to a save, and not handed back since. */
  isSaving: boolean;
  /** Servers that may still touch it on a rank since an unsafe release, as `rank pid`. */
  readonly unsafeFor: Set<string>;
  /** By rank, why the load that is under way may bring wrong bytes. */
  excuses: readonly (Excuse | null)[];
}

/** A byte that no content begins with by chance: what a load has to overwrite, and what becomes of blocks that are free. */
const POISON = 0xee;

/** The blocks of one instance, the same on every rank, and the judge over who touches them. */
export class BlockPool {
  #blocks: Block[];
  #free: number[];
  #buried: number[] = [];
  /** Blocks that a rank had read to learn how far the server is, as `rank block`, and how often they may still be read for it. */
  #markers = new Map<string, number>();
  #taints: Taints;
  #tallies: Tallies;
  #livingServers: () => readonly SimulatedProcess[];
  instance: Instance | null = null;

  constructor(count: number, tallies: Tallies, taints: Taints, livingServers: () => readonly SimulatedProcess[]) {
    const untouched = { owner: null, hash: null, isLoading: false, isSaving: false, excuses: [] } as const;
    const fresh = () => ({ ...untouched, unsafeFor: new Set<string>() });
    this.#blocks = Array.from({ length: count }, fresh);
    this.#free = this.#blocks.map((_, blockId) => blockId);
    this.#tallies = tallies;
    this.#taints = taints;
    this.#livingServers = livingServers;
  }

  get freeCount(): number {
    return this.#free.length;
  }

  get hasBuried(): boolean {
    return this.#buried.length > 0;
  }

  /** One block for each hash, or `null` while there are too few. */
  take(owner: string, hashes: readonly Uint8Array[]): number[] | null {
    if (this.#free.length < hashes.length) return null;
    const taken = this.#free.splice(0, hashes.length);
    for (const [i, blockId] of taken.entries()) Object.assign(this.#blocks[blockId]!, { owner, hash: hashes[i]! });
    return taken;
  }

  give(blockIds: readonly number[]): void {
    for (const blockId of blockIds) {
      const block = this.#blocks[blockId]!;
      if (block.owner === null) throw new Violation(4, `block ${blockId} is handed back twice`);
      Object.assign(block, { owner: null, hash: null, isLoading: false, isSaving: false });
      this.#poison(blockId);
    }
    // What was freed last is used first, so that a late touch meets somebody else's bytes.
    this.#free.unshift(...blockIds);
  }

  /** All that is owned waits until no rank has anything under way. */
  bury(): void {
    for (const [blockId, block] of this.#blocks.entries()) {
      if (block.owner === null || this.#buried.includes(blockId)) continue;
      this.#buried.push(blockId);
    }
  }

  giveBuried(): void {
    this.give(this.#buried.splice(0));
  }

  lendToLoad(blockIds: readonly number[]): void {
    for (const blockId of blockIds) {
      const block = this.#blocks[blockId]!;
      const { instance } = this;
      block.isLoading = true;
      block.excuses = this.#ranks().map(
        ({ index }) => instance && this.#taints.excuseFor(block.hash!, instance, index),
      );
      this.#poison(blockId);
    }
  }

  loadEnded(blockIds: readonly number[]): void {
    for (const blockId of blockIds) this.#blocks[blockId]!.isLoading = false;
  }

  lendToSave(blockIds: readonly number[]): void {
    for (const blockId of blockIds) this.#blocks[blockId]!.isSaving = true;
  }

  compute(blockIds: readonly number[], hashes: readonly Uint8Array[]): void {
    for (const [i, blockId] of blockIds.entries()) {
      for (const { index, memories } of this.#ranks()) {
        for (const [layer, memory] of memories.entries()) compute(hashes[i]!, index, layer, memory.block(blockId));
      }
    }
  }

  /** Throws where a loaded block holds something else than the content of its hash. */
  verify(blockIds: readonly number[], hashes: readonly Uint8Array[]): void {
    for (const [i, blockId] of blockIds.entries()) {
      const hash = hashes[i]!;
      for (const { index, memories } of this.#ranks()) {
        for (const [layer, memory] of memories.entries()) {
          const bytes = memory.block(blockId);
          if (isContentOf(hash, index, layer, bytes)) this.#tallies.verifiedBytes += bytes.length;
          else this.#wrongBytes(blockId, hash, index, bytes);
        }
      }
    }
  }

  /** The servers there are may still touch these blocks on this rank, and keep what they read under their hashes. */
  releasedUnsafely(rank: Rank, { kind, blockIds }: UnsafeRelease): void {
    const servers = this.#livingServers();
    const releasedMs = kernel().loop.nowMs;
    this.#tallies.unsafeReleases += 1;
    for (const blockId of blockIds) {
      const { hash, unsafeFor } = this.#blocks[blockId]!;
      for (const { pid } of servers) unsafeFor.add(`${rank.index} ${pid}`);
      if (kind === 'save' && hash !== null) this.#taints.saveReleased(hash, { rank, servers, releasedMs });
    }
  }

  markerSent(rank: number, blockId: number): void {
    const name = `${rank} ${blockId}`;
    this.#markers.set(name, (this.#markers.get(name) ?? 0) + 1);
  }

  #takeMarker(name: string): boolean {
    const left = this.#markers.get(name) ?? 0;
    if (left > 0) this.#markers.set(name, left - 1);
    return left > 0;
  }

  /** A server's copy reads or writes a block of one rank. */
  touched(touch: 'read' | 'write', blockId: number, rank: number, server: SimulatedProcess): void {
    const block = this.#blocks[blockId]!;
    const isUnsafe = block.unsafeFor.has(`${rank} ${server.pid}`);
    // Among the writes of the load that has the block now may be those of one that was let go of.
    if (touch === 'write' && isUnsafe && block.hash !== null) this.#taints.overwritten(block.hash, rank);
    if (touch === 'write' ? block.isLoading : block.isSaving) return;
    if (touch === 'read' && this.#takeMarker(`${rank} ${blockId}`)) return;
    if (!isUnsafe) {
      // Reported, not thrown: the engine would take it for a copy that failed.
      const message = `${server.name} ${touch}s block ${blockId} of rank ${rank}, which was handed back`;
      kernel().report(new Violation(5, message));
    }
    this.#tallies.unsafeTouches += 1;
  }

  #wrongBytes(blockId: number, hash: Uint8Array, rank: number, bytes: Uint8Array): void {
    const excuse = this.#taints.isOverwritten(hash, rank) ? 'lateWrite' : this.#blocks[blockId]!.excuses[rank];
    if (excuse) {
      this.#tallies[excuse] += 1;
      return;
    }
    const found = Buffer.from(bytes).toString('hex');
    throw new Violation(11, `block ${blockId} on rank ${rank} holds ${found} after a load of ${nameOf(hash)}`);
  }

  #poison(blockId: number): void {
    for (const { memories } of this.#ranks()) for (const memory of memories) memory.block(blockId).fill(POISON);
  }

  #ranks() {
    return this.instance?.ranks ?? [];
  }
}
