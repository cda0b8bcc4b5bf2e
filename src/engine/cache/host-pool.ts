import { AddressSpace, type UsedRange } from './address-space.ts';

/** Blocks begin at multiples of it, and take multiples of it. */
export const POOL_UNIT_BYTES = 512;

/** Memory of one allocation. It goes back to the pool when the last of its users has released it. */
export interface PoolRegion {
  readonly addressBytes: number;
  readonly range: UsedRange;
  users: number;
}

/**
 * The host's memory for blocks: one range of addresses, as in the server. What is not used keeps its content, and whoever
 * reads beyond a region sees what lies behind it. The system gives the pages when they are first touched.
 */
export class HostPool {
  readonly capacityBytes: number;
  readonly #space: AddressSpace;
  #bytes: Buffer | null = null;

  constructor(capacityBytes: number, isSizeClassed: boolean) {
    this.capacityBytes = capacityBytes;
    this.#space = new AddressSpace(Math.floor(capacityBytes / POOL_UNIT_BYTES), isSizeClassed);
  }

  /** As the pool rounds it: what regions take, not what was asked for. */
  get usedBytes(): number {
    return this.#space.usedUnits * POOL_UNIT_BYTES;
  }

  /** Memory with undefined content for so many users, or `null` where the pool has no room of this size in one piece. */
  take(sizeBytes: number, users: number): PoolRegion | null {
    const range = this.#space.allocate(Math.ceil(sizeBytes / POOL_UNIT_BYTES));
    return range === null ? null : { addressBytes: range.offset * POOL_UNIT_BYTES, range, users };
  }

  /** One user is done with it. */
  release(region: PoolRegion): void {
    region.users -= 1;
    if (region.users === 0) this.#space.free(region.range);
  }

  /** So many bytes from an address on; fewer where the pool ends before. */
  view(addressBytes: number, sizeBytes: number): Buffer {
    this.#bytes ??= reserve(this.capacityBytes);
    return this.#bytes.subarray(addressBytes, addressBytes + sizeBytes);
  }
}

const reserve = (sizeBytes: number): Buffer => {
  try {
    return Buffer.allocUnsafeSlow(sizeBytes);
  } catch (cause) {
    throw new Error(`a pool of ${sizeBytes} bytes is more than this machine gives a process`, { cause });
  }
};
