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
  readonly #landsAfterMs: () => number;
  readonly #thread = new SerialQueue();

  /**
   * `pace` is waited for before each block, all its layers being one. A copy lands `landsAfterMs` after its turn, also
   * where its task has failed meanwhile.
   */
  constructor(
    direction: 'toHost' | 'toDevice',
    clock: EngineClock,
    pace: () => Promise<void>,
    landsAfterMs: () => number,
  ) {
    this.#direction = direction;
    this.#clock = clock;
    this.#pace = pace;
    this.#landsAfterMs = landsAfterMs;
  }

  run(copies: readonly LayerCopy[]): Promise<void> {
    const byBlock = copies.toSorted((a, b) => a.blockId - b.blockId);
    return this.#thread.run(() => this.#copyAll(byBlock));
  }

  async #copyAll(copies: readonly LayerCopy[]): Promise<void> {
    const landings: Promise<void>[] = [];
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
      checkBlockId(copy);
      const delayMs = this.#landsAfterMs();
      if (delayMs === 0) this.#copy(copy);
      else landings.push(this.#landLater(copy, delayMs));
      bytesThisTurn += copy.host.length;
    }
    await Promise.all(landings);
  }

  #landLater(copy: LayerCopy, delayMs: number): Promise<void> {
    const landing = sleep(this.#clock, delayMs).then(() => this.#copy(copy));
    // Nobody waits for it once its task has failed.
    landing.catch(() => {});
    return landing;
  }

  #copy({ tensor, layout, blockId, host }: LayerCopy): void {
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

function checkBlockId({ blockId, layout: { numBlocks } }: LayerCopy): void {
  if (blockId >= numBlocks) throw new Error(`block_id ${blockId} out of range (${numBlocks} blocks)`);
}
