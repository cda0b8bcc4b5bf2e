import { constants } from 'node:os';
import { wallTimeMs } from '../wall-time.ts';
import type { EngineLog } from './engine-log.ts';
import { type ServeGrpc, serveGrpc } from './grpc/grpc-service.ts';
import type { EngineOptions } from './options.ts';
import { startEngine } from './start-engine.ts';

export interface ProcessIo {
  readonly log: EngineLog;
  /** Takes one line for standard output. */
  readonly printLine: (line: string) => void;
}

/** The line that says that the engine serves; the moment is wall time in milliseconds with its fraction. */
interface ListeningLine {
  readonly event: 'listening';
  readonly grpc: string;
  readonly http: string | null;
  readonly pid: number;
  readonly atMs: number;
}

/**
 * Runs an engine as this process and settles when it has ended: with the signal that the process is then to
 * {@link dieBy}, or `null`. SIGINT drains, and further ones change nothing; SIGTERM ends at once. Rejects when it cannot
 * start.
 */
export const runEngine = async (
  options: Partial<EngineOptions>,
  { log, printLine }: ProcessIo,
  serve: ServeGrpc = serveGrpc,
): Promise<'SIGTERM' | null> => {
  const engine = await startEngine({ hasCopyThreads: true, ...options, log }, serve);
  const line: ListeningLine = {
    event: 'listening',
    grpc: engine.grpcAddress,
    http: engine.httpAddress,
    pid: process.pid,
    atMs: wallTimeMs(),
  };
  const terminated = Promise.withResolvers<'SIGTERM'>();
  let isDraining = false;
  const onInterrupt = () => {
    if (isDraining) return;
    isDraining = true;
    log.info({}, 'SIGINT: draining');
    void engine.drain();
  };
  const onTerminate = () => {
    // Its connections are gone when this returns; the rest ends with the process.
    void engine.close();
    terminated.resolve('SIGTERM');
  };
  process.on('SIGINT', onInterrupt);
  process.once('SIGTERM', onTerminate);
  printLine(JSON.stringify(line));
  const signal = await Promise.race([terminated.promise, engine.stopped.then(() => null)]);
  process.off('SIGTERM', onTerminate);
  return signal;
};

/** Ends this process as the signal would have done without a handler, so that its parent sees why. */
export const dieBy = (signal: NodeJS.Signals): void => {
  // The first process of a container does not die by a signal that it sends itself.
  process.exitCode = 128 + constants.signals[signal];
  process.kill(process.pid, signal);
};
