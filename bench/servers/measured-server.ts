/** What an engine says once it listens. */
export interface Listening {
  /** `host:port`. */
  readonly address: string;
  /** When it began to listen, on the clock of `monotonicMs`. */
  readonly atMs: number;
}

/** A server that can be killed and started again at the same port. It ends with this process, however that ends. */
export interface MeasuredServer extends AsyncDisposable {
  readonly endpoint: string;
  /** What a client has to say that it is. */
  readonly version: string;
  /** Sends SIGKILL and returns without waiting: the moment before, on the clock of `monotonicMs`. */
  kill(): number;
  /** Waits until nothing of the one before is left, which must have been killed. Settles when the new one listens. */
  start(): Promise<Listening>;
}
