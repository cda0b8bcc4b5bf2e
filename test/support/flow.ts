import type { Socket } from 'node:net';

/** What happens to the bytes that pass in one direction. Nothing set: they pass. */
export interface Weather {
  /** Take the bytes and forward none of them. */
  readonly isBlackhole?: boolean;
  /** Milliseconds that each piece is late. Order is kept. Default 0. */
  readonly delayMs?: number;
  /** At most so many milliseconds more, drawn for each piece. Default 0. */
  readonly jitterMs?: number;
  /** Largest piece that is written at once, in bytes. Default: as it was read. */
  readonly sliceBytes?: number;
  /** Reset the connection, to both sides, when so many bytes have passed in this direction since it was opened. */
  readonly resetAfterBytes?: number;
}

interface Piece {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

/** Carries the bytes of one direction of one connection through the weather of the moment at which they arrive. */
export class Flow {
  #to: Socket;
  #weather: () => Weather;
  /** Uniform in [0, 1). */
  #random: () => number;
  #onReset: () => void;
  #queue: Piece[] = [];
  #timer: NodeJS.Timeout | undefined;
  #passedBytes = 0;

  constructor(from: Socket, to: Socket, weather: () => Weather, random: () => number, onReset: () => void) {
    this.#to = to;
    this.#weather = weather;
    this.#random = random;
    this.#onReset = onReset;
    from.on('data', (chunk: Buffer) => this.#accept(chunk));
    for (const socket of [from, to]) socket.once('close', () => clearTimeout(this.#timer));
  }

  #accept(chunk: Buffer): void {
    const { isBlackhole = false, delayMs = 0, jitterMs = 0, sliceBytes = chunk.length } = this.#weather();
    if (isBlackhole) return;
    for (let start = 0; start < chunk.length; start += sliceBytes) {
      const earliestMs = performance.now() + delayMs + this.#random() * jitterMs;
      const dueMs = Math.max(earliestMs, this.#queue.at(-1)?.dueMs ?? 0);
      this.#queue.push({ bytes: chunk.subarray(start, start + sliceBytes), dueMs });
    }
    this.#forward();
  }

  #forward(): void {
    clearTimeout(this.#timer);
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined || this.#to.destroyed) return;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#forward(), Math.ceil(waitMs));
        return;
      }
      this.#queue.shift();
      if (!this.#write(next.bytes)) return;
    }
  }

  /** `false` when that was the end of the connection. */
  #write(bytes: Buffer): boolean {
    const roomBytes = (this.#weather().resetAfterBytes ?? Number.POSITIVE_INFINITY) - this.#passedBytes;
    this.#passedBytes += bytes.length;
    if (bytes.length < roomBytes) {
      this.#to.write(bytes);
      return true;
    }
    this.#to.write(bytes.subarray(0, Math.max(0, roomBytes)), this.#onReset);
    return false;
  }
}
