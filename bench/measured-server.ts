/** Which server the connectors are measured with. */
import { EngineProcess, type Listening } from './engine-process.ts';

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

export interface ServerChoice {
  readonly name: 'engine' | 'pegaflow-server';
  readonly version: string;
  /** Of its command; `null` for the embedded engine. */
  readonly path: string | null;
  /** With a device for each rank. */
  start(deviceCount: number): Promise<MeasuredServer>;
}

export const embeddedEngine: ServerChoice = {
  name: 'engine',
  version: EngineProcess.version,
  path: null,
  start: () => EngineProcess.start(),
};
