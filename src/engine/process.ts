import { wallTimeMs } from '../wall-time.ts';
import type { EngineLog } from './engine-log.ts';
import { type ServeGrpc, serveGrpc } from './grpc-service.ts';
import type { EngineOptions } from './options.ts';
import { type RunningEngine, startEngine } from './start-engine.ts';

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
 * Runs an engine as this process and settles when it has ended. SIGINT drains; a second one, or SIGTERM, ends at once.
 * Rejects when it cannot start.
 */
export const runEngine = async (
  options: Partial<EngineOptions>,
  { log, printLine }: ProcessIo,
  serve: ServeGrpc = serveGrpc,
): Promise<void> => {
  const engine = await startEngine({ hasCopyThreads: true, ...options, log }, serve);
  const line: ListeningLine = {
    event: 'listening',
    grpc: engine.grpcAddress,
    http: engine.httpAddress,
    pid: process.pid,
    atMs: wallTimeMs(),
  };
  const unhandle = handleSignals(engine, log);
  printLine(JSON.stringify(line));
  await engine.stopped;
  unhandle();
};

const handleSignals = (engine: RunningEngine, log: EngineLog): (() => void) => {
  let isDraining = false;
  const onInterrupt = () => {
    if (isDraining) {
      void engine.close();
      return;
    }
    isDraining = true;
    log.info({}, 'SIGINT: draining');
    void engine.drain();
  };
  const onTerminate = () => void engine.close();
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  return () => {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  };
};
