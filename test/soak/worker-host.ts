/** A rank of a soak: verifies blocks once more when their request ends, for nobody else may have written into them. */

import type { BlockContents, Step } from '../../src/demo/hosts/messages.ts';
import { runWorker, WorkerHost } from '../../src/demo/hosts/worker-host.ts';

class SoakWorkerHost extends WorkerHost {
  /** What the blocks of running requests hold. */
  readonly #inUse = new Map<string, BlockContents[]>();

  protected override take(step: Step): void {
    // Before anything is written: the blocks may be another request's in this very step.
    for (const requestId of step.finishedRequestIds) {
      for (const contents of this.#inUse.get(requestId) ?? []) super.verify(contents, 'finished');
      this.#inUse.delete(requestId);
    }
    super.take(step);
  }

  protected override async compute(contents: BlockContents): Promise<void> {
    await super.compute(contents);
    this.#use(contents);
  }

  protected override verify(contents: BlockContents, moment: 'loaded' | 'finished'): void {
    super.verify(contents, moment);
    this.#use(contents);
  }

  #use(contents: BlockContents): void {
    const held = this.#inUse.get(contents.requestId) ?? [];
    this.#inUse.set(contents.requestId, [...held, contents]);
  }
}

runWorker((channel, start) => new SoakWorkerHost(channel, start));
