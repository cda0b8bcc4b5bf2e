/** One thread's worth of work: commands run one after another, in the order in which they came. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  /** Appends a command; whoever waits for it may leave, the command runs all the same. */
  run<T>(command: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(command);
    this.#tail = result.catch(() => {});
    return result;
  }
}
