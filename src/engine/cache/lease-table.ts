import { storageError } from '../engine-error.ts';
import type { EngineClock } from '../timing/engine-clock.ts';
import type { BlockStore, StoredBlock } from './block-store.ts';

export const LEASE_SIZE_BYTES = 16;

export interface Lease {
  readonly instanceId: string;
  readonly blocks: readonly StoredBlock[];
  readonly expiresAtMs: number;
  shares: number;
}

export interface LeaseDependencies {
  readonly blocks: BlockStore;
  readonly clock: EngineClock;
  readonly randomBytes: (sizeBytes: number) => Uint8Array;
  readonly ttlMs: number;
}

const idOf = (lease: Uint8Array) => Buffer.from(lease).toString('hex');

/** Promises that blocks stay, one share a rank, for a limited time. */
export class LeaseTable {
  readonly #dependencies: LeaseDependencies;
  readonly #leases = new Map<string, Lease>();

  constructor(dependencies: LeaseDependencies) {
    this.#dependencies = dependencies;
  }

  /** Pins `blocks` for `shares` loads of the instance. Returns the id, a random UUID (version 4) in 16 bytes. */
  create(instanceId: string, blocks: readonly StoredBlock[], shares: number): Uint8Array {
    this.sweep();
    const { clock, randomBytes, ttlMs } = this.#dependencies;
    const id = Uint8Array.from(randomBytes(LEASE_SIZE_BYTES));
    id[6] = (id[6]! & 0x0f) | 0x40;
    id[8] = (id[8]! & 0x3f) | 0x80;
    for (const block of blocks) this.#dependencies.blocks.pin(block);
    const expiresAtMs = clock.nowMs() + ttlMs;
    this.#leases.set(idOf(id), { instanceId, blocks, expiresAtMs, shares: Math.max(1, shares) });
    return id;
  }

  /**
   * Takes one share. The blocks come pinned once more, for the caller to unpin. Throws INTERNAL when the lease is
   * unknown, or belongs to another instance, which costs no share.
   */
  consume(leaseId: Uint8Array, instanceId: string): readonly StoredBlock[] {
    this.sweep();
    const id = idOf(leaseId);
    const lease = this.#leases.get(id);
    if (lease === undefined) throw storageError('query lease is unknown or expired');
    if (lease.instanceId !== instanceId) {
      throw storageError(`query lease belongs to instance ${lease.instanceId}, got ${instanceId}`);
    }
    for (const block of lease.blocks) this.#dependencies.blocks.pin(block);
    lease.shares -= 1;
    if (lease.shares === 0) this.#remove(id, lease);
    return lease.blocks;
  }

  /** Removes a lease with all its shares. Returns whether it was known. */
  release(leaseId: Uint8Array): boolean {
    this.sweep();
    const id = idOf(leaseId);
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    this.#remove(id, lease);
    return true;
  }

  dropInstance(instanceId: string): void {
    for (const [id, lease] of this.#leases) if (lease.instanceId === instanceId) this.#remove(id, lease);
  }

  dropAll(): void {
    for (const [id, lease] of this.#leases) this.#remove(id, lease);
  }

  /** Removes what has expired; leases live equally long, so the oldest come first. */
  sweep(): void {
    const nowMs = this.#dependencies.clock.nowMs();
    for (const [id, lease] of this.#leases) {
      if (lease.expiresAtMs > nowMs) return;
      this.#remove(id, lease);
    }
  }

  #remove(id: string, lease: Lease): void {
    this.#leases.delete(id);
    for (const block of lease.blocks) this.#dependencies.blocks.unpin(block);
  }
}
