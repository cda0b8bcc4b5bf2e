import { type EngineClock, sleep } from './engine-clock.ts';
import type { LayerLayout } from './layout.ts';
import { SerialQueue } from './serial-queue.ts';
import type { Tensor } from './tensor-registry.ts';

/** So many bytes are copied before other events get their turn: about a millisecond of memcpy. */
const BYTES_PER_TURN = 4 << 20;

/** One block of one layer between a device and the host. */
export interface LayerCopy {
  readonly tensor: Tensor;
  readonly layout: LayerLayout;
  readonly blockId: number;
  /** As long as the block; K before V. */
  readonly host: Buffer;
}

/** The copy thread of one device in one direction: tasks in order, each ending at its first error. */
export class CopyQueue {
  readonly #direction: 'toHost' | 'toDevice';
  readonly #clock: EngineClock;
  readonly #pace: () => Promise<void>;
  readonly #thread = new SerialQueue();

  /** `pace` is waited for before each block, all its layers being one. */
  constructor(direction: 'toHost' | 'toDevice', clock: EngineClock, pace: () => Promise<void>) {
    this.#direction = direction;
    this.#clock = clock;
    this.#pace = pace;
  }

  run(copies: readonly LayerCopy[]): Promise<void> {
    const byBlock = copies.toSorted((a, b) => a.blockId - b.blockId);
    return this.#thread.run(() => this.#copyAll(byBlock));
  }

  async #copyAll(copies: readonly LayerCopy[]): Promise<void> {
    let previousBlockId = -1;
    let bytesThisTurn = BYTES_PER_TURN;
    for (const copy of copies) {
      if (bytesThisTurn >= BYTES_PER_TURN) {
        await sleep(this.#clock, 0);
        bytesThisTurn = 0;
      }
      if (copy.blockId !== previousBlockId) {
        await this.#pace();
        previousBlockId = copy.blockId;
      }
      this.#copy(copy);
      bytesThisTurn += copy.host.length;
    }
  }

  #copy({ tensor, layout, blockId, host }: LayerCopy): void {
    if (blockId >= layout.numBlocks) throw new Error(`block_id ${blockId} out of range (${layout.numBlocks} blocks)`);
    const pieces = layout.blockSizeBytes / layout.pieceSizeBytes;
    for (let piece = 0; piece < pieces; piece++) {
      const deviceOffset = tensor.offsetBytes + blockId * layout.pieceSizeBytes + piece * layout.splitStrideBytes;
      const hostOffset = piece * layout.pieceSizeBytes;
      const bytes = host.subarray(hostOffset, hostOffset + layout.pieceSizeBytes);
      if (this.#direction === 'toHost') tensor.memory.read(deviceOffset, bytes);
      else tensor.memory.write(deviceOffset, bytes);
    }
  }
}
