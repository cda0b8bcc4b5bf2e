import { type ProcessExitWatch, ProcessWatchError, watchProcessExit } from '../../../native-bindings/index.ts';

/** The processes that hold our memory, watched to their end. Shared: it lasts until everybody who retained it let go. */
export class HolderWatch implements Disposable {
  readonly pids: readonly number[];
  /** Resolves when the last of them is gone, its files closed. Pending for ever once nobody retains it. */
  readonly exited: Promise<void>;
  #watches: readonly ProcessExitWatch[];
  #users = 1;

  /** `null` where one of them cannot be watched: some kernels and sandboxes have no pidfd. */
  static over(pids: readonly number[]): HolderWatch | null {
    const watches: ProcessExitWatch[] = [];
    try {
      for (const pid of pids) watches.push(watchProcessExit(pid));
      return new HolderWatch(pids, watches);
    } catch (error) {
      for (const watch of watches) watch[Symbol.dispose]();
      if (error instanceof ProcessWatchError) return null;
      throw error;
    }
  }

  private constructor(pids: readonly number[], watches: readonly ProcessExitWatch[]) {
    this.pids = pids;
    this.#watches = watches;
    this.exited = Promise.all(watches.map(({ exited }) => exited)).then(() => {});
  }

  get hasExited(): boolean {
    return this.#watches.every(({ hasExited }) => hasExited);
  }

  /**
   * Sends SIGKILL to each of them that is there.
   * @throws ProcessWatchError where that is not allowed
   */
  kill(): void {
    for (const watch of this.#watches) watch.kill();
  }

  retain(): this {
    this.#users += 1;
    return this;
  }

  /** Lets go of it, once for each {@link retain} and once for whoever began it. */
  [Symbol.dispose](): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    for (const watch of this.#watches) watch[Symbol.dispose]();
  }
}
