import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import { Engine as EngineService } from '../gen/pegaflow/engine_pb.ts';
import type { Call } from './call.ts';
import type { Engine } from './engine.ts';
import { type EngineClock, sleep } from './engine-clock.ts';
import type { EngineLog } from './engine-log.ts';
import type { EngineMetrics } from './engine-metrics.ts';
import type { FaultBoard, MethodFault, MethodRefusal, RpcMethod } from './faults.ts';
import { beginRpcSpan, endRpcSpan } from './rpc-span.ts';
import { rpcErrorFrom, statusLabel } from './rpc-status.ts';
import { untilAborted } from './until-aborted.ts';

export interface RouteDependencies {
  readonly engine: Engine;
  readonly clock: EngineClock;
  readonly faults: FaultBoard;
  readonly log: EngineLog;
  readonly metrics: EngineMetrics;
  /** The Shutdown RPC was called; its answer still has to go out. */
  readonly onShutdown: () => void;
}

type NodeRequest = IncomingMessage | Http2ServerRequest;

const nodeRequestKey = createContextKey<NodeRequest | null>(null);

/** Lets a handler find the connection of its call. */
export const contextValuesFrom = (request: NodeRequest) => createContextValues().set(nodeRequestKey, request);

const ok = { status: { ok: true, message: '' } };

/** Methods whose registration thread hangs, not their handler. */
const hangsInRegistry: ReadonlySet<RpcMethod> = new Set(['registerContextBatch', 'unregisterContext']);

/** The unary RPCs, with faults, metrics and log lines around them. */
export const engineRoutes = (dependencies: RouteDependencies) => (router: ConnectRouter) => {
  const { engine, onShutdown } = dependencies;
  const unary = <I, O>(method: RpcMethod, work: (request: I, call: Call) => O | Promise<O>) => {
    return (request: I, context: HandlerContext) =>
      answer(dependencies, method, context, (call) => work(request, call));
  };
  router.service(EngineService, {
    registerContextBatch: unary('registerContextBatch', async (request, call) => {
      await engine.registrations.register(request, call);
      return ok;
    }),
    save: unary('save', async (request, call) => {
      await engine.save(request, call);
      return ok;
    }),
    load: unary('load', (request) => {
      engine.load(request);
      return ok;
    }),
    queryPrefetch: unary('queryPrefetch', (request) => engine.queryPrefetch(request)),
    release: unary('release', (request) => {
      engine.release(request);
      return {};
    }),
    unregisterContext: unary('unregisterContext', async (request, call) => {
      await engine.registrations.unregister(request, call);
      return ok;
    }),
    queryBlocksForTransfer: unary('queryBlocksForTransfer', () => engine.refuseTransfer()),
    rdmaHandshake: unary('rdmaHandshake', () => engine.refuseTransfer()),
    releaseTransferLock: unary('releaseTransferLock', () => ok),
    shutdown: unary('shutdown', () => {
      onShutdown();
      return ok;
    }),
    health: unary('health', () => ok),
  });
};

const answer = async <O>(
  dependencies: RouteDependencies,
  method: RpcMethod,
  context: HandlerContext,
  work: (call: Call) => O | Promise<O>,
): Promise<O> => {
  const { clock, faults, log, metrics } = dependencies;
  const startMs = clock.nowMs();
  const name = snakeCase(method);
  const span = beginRpcSpan(`${EngineService.typeName}/${EngineService.method[method].name}`, context.requestHeader);
  const record = (status: string, code: Code | null) => {
    endRpcSpan(span, code);
    metrics.rpcRequests.add(1, { method: name, status });
    metrics.rpcDurationSeconds.record((clock.nowMs() - startMs) / 1000, { method: name, status });
  };
  try {
    const call = { signal: callerSignal(context.signal), fault: faults.take(method) };
    const response = await untilAborted(afterFault(dependencies, method, call, work), call.signal);
    if (call.fault.loseAck === true) await loseConnection(context, call);
    record('ok', null);
    log.debug({ method: name }, `RPC [${name}] ok`);
    return response;
  } catch (thrown) {
    const error = rpcErrorFrom(thrown);
    record(statusLabel(error), error.code);
    const elapsedMs = (clock.nowMs() - startMs).toFixed(1);
    log.warn(
      { method: name, code: Code[error.code] },
      `RPC [${name}] failed: code=${Code[error.code]} message=${error.rawMessage} elapsed_ms=${elapsedMs}`,
    );
    throw error;
  }
};

const afterFault = async <O>(
  { clock, faults }: RouteDependencies,
  method: RpcMethod,
  call: Call,
  work: (call: Call) => O | Promise<O>,
): Promise<O> => {
  const { fault, signal } = call;
  await untilFaultAllows(faults, clock, method, fault);
  if (signal.aborted) throw signal.reason;
  return work(call);
};

/** Waits as the fault wants it; throws its refusal. */
export const untilFaultAllows = async (
  faults: FaultBoard,
  clock: EngineClock,
  method: RpcMethod,
  fault: MethodFault,
): Promise<void> => {
  if (fault.delayMs !== undefined) await sleep(clock, fault.delayMs);
  if (fault.hang === true && !hangsInRegistry.has(method)) await faults.untilLifted(method);
  if (fault.refuse !== undefined) throw refusalError(fault.refuse);
};

const refusalError = ({ code, message, retryPushbackMs }: MethodRefusal): ConnectError => {
  const metadata = retryPushbackMs === undefined ? undefined : { 'grpc-retry-pushback-ms': String(retryPushbackMs) };
  return new ConnectError(message, code, metadata);
};

/** Aborts with what the real server answers: a deadline that it enforces itself is CANCELLED, not DEADLINE_EXCEEDED. */
const callerSignal = (signal: AbortSignal): AbortSignal => {
  const controller = new AbortController();
  const onAbort = () => controller.abort(abortReasonFrom(signal.reason));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return controller.signal;
};

const abortReasonFrom = (reason: unknown): ConnectError => {
  if (!(reason instanceof ConnectError)) return new ConnectError('the caller is gone', Code.Canceled);
  return reason.code === Code.DeadlineExceeded ? new ConnectError('Timeout expired', Code.Canceled) : reason;
};

const loseConnection = async (context: HandlerContext, { signal }: Call): Promise<void> => {
  const request = context.values.get(nodeRequestKey);
  if (request !== null && 'stream' in request) request.stream.session?.destroy();
  await untilAborted(new Promise(() => {}), signal);
};

const snakeCase = (method: RpcMethod) => method.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
