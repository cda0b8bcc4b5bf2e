import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { fromBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { type SessionRequest, SessionRequestSchema } from '../gen/pegaflow/engine_pb.ts';
import type { Engine } from './engine.ts';
import type { EngineClock } from './engine-clock.ts';
import { EngineError, messageOf } from './engine-error.ts';
import type { EngineLog } from './engine-log.ts';
import type { FaultBoard } from './faults.ts';
import { untilFaultAllows } from './rpc-routes.ts';
import { rpcErrorFrom } from './rpc-status.ts';

export const SESSION_PATH = '/pegaflow.Engine/Session';

const FRAME_HEADER_BYTES = 5;
const MAX_REQUEST_BYTES = 1 << 20;

export interface SessionDependencies {
  readonly engine: Engine;
  readonly clock: EngineClock;
  readonly faults: FaultBoard;
  readonly log: EngineLog;
}

/**
 * Serves one Session. The headers go out as soon as the session is installed, then nothing until the client ends the
 * stream; an RPC framework would hold them back until there is a first message, and there never is one.
 */
export const serveSession = async (
  { engine, clock, faults, log }: SessionDependencies,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Promise<void> => {
  const closed = new Promise<void>((resolve) => {
    stream.once('close', resolve);
  });
  stream.on('error', (error) => log.debug({}, `Session stream: ${error.message}`));
  try {
    if (!headers['content-type']?.startsWith('application/grpc')) {
      stream.respond({ ':status': 415 }, { endStream: true });
      return;
    }
    const request = await readRequest(stream);
    const fault = faults.take('session');
    await Promise.race([untilFaultAllows(faults, clock, 'session', fault), closed]);
    if (stream.destroyed) return;
    const session = engine.registrations.openSession(request, fault);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    await closed;
    await engine.registrations.endSession(session);
  } catch (thrown) {
    const { code, rawMessage } = rpcErrorFrom(thrown);
    log.warn({ code: Code[code] }, `RPC [session] failed: code=${Code[code]} message=${rawMessage}`);
    if (stream.destroyed || stream.headersSent) return;
    const status = { 'grpc-status': String(code), 'grpc-message': encodeURIComponent(rawMessage) };
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, { endStream: true });
  }
};

const readRequest = async (stream: ServerHttp2Stream): Promise<SessionRequest> => {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_REQUEST_BYTES) throw new EngineError(Code.ResourceExhausted, 'session request too large');
  }
  const frame = Buffer.concat(chunks);
  if (
    frame.length < FRAME_HEADER_BYTES ||
    frame[0] !== 0 ||
    frame.readUInt32BE(1) !== frame.length - FRAME_HEADER_BYTES
  ) {
    throw new EngineError(Code.Internal, 'session request is not one uncompressed message');
  }
  try {
    return fromBinary(SessionRequestSchema, frame.subarray(FRAME_HEADER_BYTES));
  } catch (error) {
    throw new EngineError(Code.Internal, `failed to decode session request: ${messageOf(error)}`);
  }
};
