import { Code } from '@connectrpc/connect';
import { SessionRequestSchema } from '../../gen/pegaflow/engine_pb.ts';
import type { Engine } from '../engine.ts';
import type { EngineLog } from '../engine-log.ts';
import type { FaultBoard } from '../faults.ts';
import type { EngineClock } from '../timing/engine-clock.ts';
import { untilAborted } from '../timing/until-aborted.ts';
import type { GrpcCall } from './grpc-call.ts';
import { untilFaultAllows } from './rpc-routes.ts';
import { rpcErrorFrom } from './rpc-status.ts';

export interface SessionDependencies {
  readonly engine: Engine;
  readonly clock: EngineClock;
  readonly faults: FaultBoard;
  readonly log: EngineLog;
}

/**
 * Serves one Session. The headers go out as soon as the session is installed, then nothing until the client ends the
 * stream: there never is a message.
 */
export const serveSession = async (
  { engine, clock, faults, log }: SessionDependencies,
  call: GrpcCall,
): Promise<void> => {
  const closed = call.untilClosed();
  try {
    const request = await call.receive(SessionRequestSchema);
    const fault = faults.take('session');
    await untilAborted(untilFaultAllows(faults, clock, 'session', fault), call.signal);
    // Between its end and the event of that end a stream takes no headers, and nobody would end the session.
    if (call.isOver) return;
    const session = engine.registrations.openSession(request, fault);
    call.begin();
    await closed;
    await engine.registrations.endSession(session);
  } catch (thrown) {
    if (call.isOver) return;
    const error = rpcErrorFrom(thrown);
    log.warn({ code: Code[error.code] }, `RPC [session] failed: code=${Code[error.code]} message=${error.rawMessage}`);
    call.refuse(error);
  }
};
