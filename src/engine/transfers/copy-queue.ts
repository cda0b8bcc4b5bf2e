import type { LayerLayout } from '../registration/layout.ts';
import type { Tensor } from '../registration/tensor-registry.ts';
import { type EngineClock, sleep } from '../timing/engine-clock.ts';
import { SerialQueue } from '../timing/serial-queue.ts';

/** So many bytes are copied before other events get their turn: about a millisecond of memcpy. */
const BYTES_PER_TURN = 4 << 20;

/** One block of one layer between a device and the host. */
export interface LayerCopy {
  readonly tensor: Tensor;
  readonly layout: LayerLayout;
  readonly blockId: number;
  /** For each piece of the block: all of it, or K and V. A piece that is too short fails when its bytes are copied. */
  readonly host: readonly Buffer[];
}

export const copySizeBytes = ({ host }: LayerCopy): number => host.reduce((sum, { length }) => sum + length, 0);

/**
 * Starts what other processes see of one queue: a thread of this name in the task list, there for as long as the queue
 * may touch the memory of its registration. Disposing ends it.
 */
export type StartCopyThread = (name: string) => Disposable;

/** For an engine whose queues nobody watches from outside. */
export const noCopyThread: StartCopyThread = () => ({ [Symbol.dispose]: () => {} });

export interface CopyQueueDependencies {
  readonly direction: 'toHost' | 'toDevice';
  readonly clock: EngineClock;
  /** Waited for before each block, all its layers being one. */
  readonly pace: () => Promise<void>;
  /** A copy lands so long after its turn, also where its task has failed meanwhile. */
  readonly landsAfterMs: () => number;
  /** Disposed when the last task of a closed queue has ended. */
  readonly thread: Disposable;
}

/** The copy thread of one registration in one direction: tasks in order, each ending at its first error. */
export class CopyQueue {
  readonly #dependencies: CopyQueueDependencies;
  readonly #tasks = new SerialQueue();
  #isClosed = false;

  constructor(dependencies: CopyQueueDependencies) {
    this.#dependencies = dependencies;
  }

  run(copies: readonly LayerCopy[]): Promise<void> {
    // Whoever saw the thread end relies on it that no copy follows.
    if (this.#isClosed) return Promise.reject(new Error('worker channel closed'));
    const byBlock = copies.toSorted((a, b) => a.blockId - b.blockId);
    return this.#tasks.run(() => this.#copyAll(byBlock));
  }

  /** Its registration is gone: what is queued is still done, then the thread ends. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    void this.#tasks.run(() => this.#dependencies.thread[Symbol.dispose]());
  }

  async #copyAll(copies: readonly LayerCopy[]): Promise<void> {
    // A task with one block that there is not copies none, unless copies that land late are to outlive its failure.
    if (this.#dependencies.landsAfterMs() === 0) for (const copy of copies) checkBlockId(copy);
    const landings: Promise<void>[] = [];
    let previousBlockId = -1;
    let bytesThisTurn = BYTES_PER_TURN;
    for (const copy of copies) {
      if (bytesThisTurn >= BYTES_PER_TURN) {
        await sleep(this.#dependencies.clock, 0);
        bytesThisTurn = 0;
      }
      if (copy.blockId !== previousBlockId) {
        await this.#dependencies.pace();
        previousBlockId = copy.blockId;
      }
      checkBlockId(copy);
      const delayMs = this.#dependencies.landsAfterMs();
      if (delayMs === 0) this.#copy(copy);
      else landings.push(this.#landLater(copy, delayMs));
      bytesThisTurn += copySizeBytes(copy);
    }
    await Promise.all(landings);
  }

  #landLater(copy: LayerCopy, delayMs: number): Promise<void> {
    const landing = sleep(this.#dependencies.clock, delayMs).then(() => this.#copy(copy));
    // Nobody waits for it once its task has failed.
    landing.catch(() => {});
    return landing;
  }

  #copy({ tensor, layout, blockId, host }: LayerCopy): void {
    const { pieceSizeBytes, splitStrideBytes } = layout;
    for (const [piece, bytes] of host.entries()) {
      const deviceOffset = tensor.offsetBytes + blockId * pieceSizeBytes + piece * splitStrideBytes;
      if (this.#dependencies.direction === 'toHost') tensor.memory.read(deviceOffset, bytes);
      else tensor.memory.write(deviceOffset, bytes);
      if (bytes.length < pieceSizeBytes) throw new Error('a block reaches beyond the end of the pool');
    }
  }
}

function checkBlockId({ blockId, layout: { numBlocks } }: LayerCopy): void {
  if (blockId >= numBlocks) throw new Error(`block_id ${blockId} out of range (${numBlocks} blocks)`);
}
