import { compute, isContentOf } from './content.ts';
import type { SimulatedProcess } from './event-loop.ts';
import type { Instance } from './instance.ts';
import { kernel } from './kernel.ts';
import type { Tallies } from './tallies.ts';
import { Violation } from './violation.ts';

interface Block {
  owner: string | null;
  hash: Uint8Array | null;
  /** Given to a load that was not reported yet. */
  isLoading: boolean;
  /** Given to a save, and not handed back since. */
  isSaving: boolean;
  /** Servers that may still touch it since an unsafe release. */
  readonly unsafeFor: Set<number>;
}

/** A byte that no content begins with by chance: what a load has to overwrite. */
const POISON = 0xee;

/** The blocks of one instance, the same on every rank, and the judge over who touches them. */
export class BlockPool {
  #blocks: Block[];
  #free: number[];
  #buried: number[] = [];
  /** Hashes under which a server may hold other content since an unsafe release. */
  #taintedHashes: Set<string>;
  #tallies: Tallies;
  #livingServers: () => readonly SimulatedProcess[];
  instance: Instance | null = null;

  constructor(
    count: number,
    tallies: Tallies,
    taintedHashes: Set<string>,
    livingServers: () => readonly SimulatedProcess[],
  ) {
    const fresh = () => ({ owner: null, hash: null, isLoading: false, isSaving: false, unsafeFor: new Set<number>() });
    this.#blocks = Array.from({ length: count }, fresh);
    this.#free = this.#blocks.map((_, blockId) => blockId);
    this.#tallies = tallies;
    this.#taintedHashes = taintedHashes;
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
      this.#blocks[blockId]!.isLoading = true;
      for (const { memories } of this.#ranks()) for (const memory of memories) memory.block(blockId).fill(POISON);
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

  /** An unsafe release: the servers there are may touch what is lent, and keep it under its hashes. */
  taintLent(): void {
    for (const block of this.#blocks) {
      if (!block.isLoading && !block.isSaving) continue;
      for (const { pid } of this.#livingServers()) block.unsafeFor.add(pid);
      if (block.isSaving && block.hash !== null) this.#taint(block.hash);
    }
  }

  /** A server's copy reads or writes a block. */
  touched(touch: 'read' | 'write', blockId: number, server: SimulatedProcess): void {
    const block = this.#blocks[blockId]!;
    if (touch === 'write' ? block.isLoading : block.isSaving) return;
    if (!block.unsafeFor.has(server.pid)) {
      // Reported, not thrown: the engine would take it for a copy that failed.
      kernel().report(new Violation(5, `${server.name} ${touch}s block ${blockId}, which was handed back`));
    }
    this.#tallies.unsafeTouches += 1;
    if (touch === 'write' && block.hash !== null) this.#taint(block.hash);
  }

  #wrongBytes(blockId: number, hash: Uint8Array, rank: number, bytes: Uint8Array): void {
    if (this.#taintedHashes.has(nameOf(hash))) {
      this.#tallies.coveredWrongBlocks += 1;
      return;
    }
    const found = Buffer.from(bytes).toString('hex');
    throw new Violation(11, `block ${blockId} on rank ${rank} holds ${found} after a load of ${nameOf(hash)}`);
  }

  #taint(hash: Uint8Array): void {
    this.#taintedHashes.add(nameOf(hash));
  }

  #ranks() {
    return this.instance?.ranks ?? [];
  }
}

const nameOf = (hash: Uint8Array) => Buffer.from(hash).toString('hex');
