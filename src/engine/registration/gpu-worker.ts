import type { CopyQueue } from '../transfers/copy-queue.ts';
import type { Tensor } from './tensor-registry.ts';
import type { RegisteredLayer } from './topology.ts';

/** One layer of a device: how it is addressed, and the memory that it was registered with. */
export interface WorkerLayer extends RegisteredLayer {
  readonly tensor: Tensor;
}

/** What one device is registered with. */
export interface WorkerRegistration {
  readonly deviceId: number;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly layers: ReadonlyMap<string, WorkerLayer>;
}

export interface CopyQueues {
  readonly saveQueue: CopyQueue;
  readonly loadQueue: CopyQueue;
}

/**
 * One registered device of an instance. It is held by its instance, and by each handler that found it there until that
 * handler is done; both queues stay open until the last of them has let go.
 */
export class GpuWorker implements WorkerRegistration, CopyQueues {
  readonly deviceId: number;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly layers: ReadonlyMap<string, WorkerLayer>;
  readonly saveQueue: CopyQueue;
  readonly loadQueue: CopyQueue;
  #holders = 1;

  constructor({ deviceId, tpRank, ppRank, layers }: WorkerRegistration, { saveQueue, loadQueue }: CopyQueues) {
    this.deviceId = deviceId;
    this.tpRank = tpRank;
    this.ppRank = ppRank;
    this.layers = layers;
    this.saveQueue = saveQueue;
    this.loadQueue = loadQueue;
  }

  /** For a handler that found it, until `work` is done. */
  async held<T>(work: Promise<T>): Promise<T> {
    this.#holders += 1;
    try {
      return await work;
    } finally {
      this.release();
    }
  }

  /** For its instance, once. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.saveQueue.close();
    this.loadQueue.close();
  }
}
