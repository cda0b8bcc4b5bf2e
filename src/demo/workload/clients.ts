/** The users of the model: they send requests as they fall due, and never more than a number of them at a time. */
import { wallTimeMs } from '../../wall-time.ts';
import type { DemoRequest, Workload } from './workload.ts';

export interface ClientsOptions {
  readonly workload: Workload;
  readonly concurrency: number;
  /** Longest prompt in blocks; what is beyond is cut off, as a model's context length does. */
  readonly maxBlocks: number;
  readonly send: (request: DemoRequest) => void;
}

export class Clients {
  readonly #options: ClientsOptions;
  readonly #startedAtMs = wallTimeMs();
  #next: DemoRequest;
  #outstanding = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
    this.#next = options.workload.next().value;
    this.#sendDue();
  }

  /** One of the requests has been answered. */
  answered(): void {
    this.#outstanding -= 1;
    this.#sendDue();
  }

  /** No further request is sent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #sendDue(): void {
    clearTimeout(this.#timer);
    const { workload, concurrency, maxBlocks, send } = this.#options;
    while (!this.#isClosed && this.#outstanding < concurrency) {
      const waitMs = this.#startedAtMs + this.#next.arrivalMs - wallTimeMs();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#sendDue(), waitMs);
        return;
      }
      this.#outstanding += 1;
      send({ ...this.#next, blockHashes: this.#next.blockHashes.slice(0, maxBlocks) });
      this.#next = workload.next().value;
    }
  }
}
