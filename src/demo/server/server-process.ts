/** A server that a run starts, kills or drains, and starts again; whichever program it is. */
export interface Listening {
  /** The process that serves: the one to stop. */
  readonly pid: number;
  /** Wall-clock milliseconds: not after the first connection could be made. */
  readonly atMs: number;
}

export interface ServerProcess {
  /** The process that was started here: the server, or whoever starts it. */
  readonly pid: number;
  /** Rejects with a RunError when the server ends before it listens. */
  readonly listening: Promise<Listening>;
  /** Settles with a word on how it ended, once nothing of it is left. */
  readonly exited: Promise<string>;
  kill(signal: 'SIGKILL' | 'SIGINT'): void;
}

/** Starts the server of a run once more. */
export type StartServer = () => ServerProcess;
