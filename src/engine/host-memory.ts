/**
 * The byte budget of blocks on the host. Memory is taken from the system when it is first needed and used again
 * afterwards: touching fresh pages costs many times a copy into old ones.
 */
export class HostMemory {
  readonly capacityBytes: number;
  readonly #idleBySize = new Map<number, Buffer[]>();
  #usedBytes = 0;
  #idleBytes = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }

  hasRoomFor(sizeBytes: number): boolean {
    return this.#usedBytes + sizeBytes <= this.capacityBytes;
  }

  /** Memory with undefined content. The caller has made sure that there is room. */
  take(sizeBytes: number): Buffer {
    this.#usedBytes += sizeBytes;
    const idle = this.#idleBySize.get(sizeBytes)?.pop();
    if (idle !== undefined) {
      this.#idleBytes -= sizeBytes;
      return idle;
    }
    if (this.#usedBytes + this.#idleBytes > this.capacityBytes) this.#forgetIdle();
    return Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Nothing reads or writes this memory any more. */
  give(buffer: Buffer): void {
    const sizeBytes = buffer.length;
    this.#usedBytes -= sizeBytes;
    this.#idleBytes += sizeBytes;
    const idle = this.#idleBySize.get(sizeBytes);
    if (idle === undefined) this.#idleBySize.set(sizeBytes, [buffer]);
    else idle.push(buffer);
  }

  #forgetIdle(): void {
    this.#idleBySize.clear();
    this.#idleBytes = 0;
  }
}
