/** Ends that somebody awaits, by request id. */
export class PendingById<Value> {
  readonly #awaited = new Map<string, (value: Value) => void>();

  /** Settles when `settle` is called with this id. */
  next(requestId: string): Promise<Value> {
    return new Promise((resolve) => this.#awaited.set(requestId, resolve));
  }

  settle(requestId: string, value: Value): void {
    this.#awaited.get(requestId)?.(value);
    this.#awaited.delete(requestId);
  }
}
