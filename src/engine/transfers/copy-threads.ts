import { ParkedThread } from '../../../native-bindings/pthread/parked-thread.ts';
import type { StartCopyThread } from './copy-queue.ts';

/** The copy threads of one engine. They mirror the lives of its queues; the copies themselves run on the event loop. */
export class CopyThreads implements AsyncDisposable {
  readonly #running = new Set<ParkedThread>();

  readonly start: StartCopyThread = (name) => {
    const thread = ParkedThread.start(name);
    this.#running.add(thread);
    return {
      [Symbol.dispose]: () => {
        this.#running.delete(thread);
        thread[Symbol.dispose]();
      },
    };
  };

  /** Ends those of queues that are not done, as the end of the process would. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running].map((thread) => thread[Symbol.asyncDispose]()));
    this.#running.clear();
  }
}
