import { hashesOf } from './engine-rank.ts';
import type { TestInstance } from './test-instance.ts';

/** Prompts that requests are made of; each has blocks of its own on the device. */
const PROMPTS = 4;

/**
 * Requests one after the other, as a host makes them: each asks, loads or computes, saves and finishes. Rejects where one
 * does not end, ends twice, or reads bytes that were not saved under its hash.
 */
export class Traffic {
  /** Requests that took their block from the cache. */
  loaded = 0;
  /** Requests that computed it. */
  recomputed = 0;
  #instance: TestInstance;
  #isStopped = false;

  constructor(instance: TestInstance) {
    this.#instance = instance;
  }

  /** Settles after {@link stop}, when the last request has ended. */
  async run(): Promise<void> {
    for (let request = 0; !this.#isStopped; request += 1) {
      await this.#serve(`request-${request}`, request % PROMPTS);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #serve(requestId: string, prompt: number): Promise<void> {
    const { scheduler, memory } = this.#instance;
    const blockHashes = hashesOf(1, `prompt-${prompt}`);
    for (const rank of memory) rank.fill(prompt, PROMPTS + prompt);
    const outcome = await scheduler.query({ requestId, blockHashes });
    if (outcome.kind === 'hit' && scheduler.scheduleLoad(requestId, [prompt])) {
      const { failedLoads } = await this.#instance.ended(requestId, 'loaded');
      if (failedLoads.length === 0) {
        if (!memory.every((rank) => rank.holds(prompt, prompt))) throw new Error(`${requestId} read foreign bytes`);
        this.loaded += 1;
        this.#instance.finish(requestId);
        return;
      }
    }
    this.recomputed += 1;
    for (const rank of memory) rank.fill(prompt, prompt);
    scheduler.scheduleSave({ requestId, blockIds: [prompt], blockHashes });
    // A request is told as saved when it has finished.
    if (this.#instance.finish(requestId)) await this.#instance.ended(requestId, 'saved');
  }
}
