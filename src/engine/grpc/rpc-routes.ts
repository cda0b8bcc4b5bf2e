import type { DescMessage, Message, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { Engine as EngineService } from '../../gen/pegaflow/engine_pb.ts';
import type { Call } from '../call.ts';
import type { Engine } from '../engine.ts';
import type { EngineLog } from '../engine-log.ts';
import type { EngineMetrics } from '../engine-metrics.ts';
import type { FaultBoard, MethodFault, MethodRefusal, RpcMethod } from '../faults.ts';
import { type EngineClock, sleep } from '../timing/engine-clock.ts';
import { untilAborted } from '../timing/until-aborted.ts';
import type { Caller } from './grpc-call.ts';
import { beginRpcSpan, endRpcSpan } from './rpc-span.ts';
import { rpcErrorFrom, statusLabel } from './rpc-status.ts';

export interface RouteDependencies {
  readonly engine: Engine;
  readonly clock: EngineClock;
  readonly faults: FaultBoard;
  readonly log: EngineLog;
  readonly metrics: EngineMetrics;
  /** The Shutdown RPC was called; its answer still has to go out. */
  readonly onShutdown: () => void;
}

/** Every method with one answer. */
export type UnaryMethod = Exclude<RpcMethod, 'session'>;

type Methods = typeof EngineService.method;
type RequestOf<M extends UnaryMethod> = MessageShape<Methods[M]['input']>;
type ResponseOf<M extends UnaryMethod> = MessageInitShape<Methods[M]['output']>;

/** Answers one call of a method, with its own messages. Throws, or rejects with, what the call then fails with. */
export type UnaryHandler = (
  request: Message,
  caller: Caller,
) => MessageInitShape<DescMessage> | Promise<MessageInitShape<DescMessage>>;

export type UnaryHandlers = Readonly<Record<UnaryMethod, UnaryHandler>>;

const ok = { status: { ok: true, message: '' } };

/** Methods whose registration thread hangs, not their handler. */
const hangsInRegistry: ReadonlySet<RpcMethod> = new Set(['registerContextBatch', 'unregisterContext']);

/** The unary RPCs, with faults, spans, metrics and log lines around them. */
export const createUnaryHandlers = (dependencies: RouteDependencies): UnaryHandlers => {
  const { engine, onShutdown } = dependencies;
  const unary = <M extends UnaryMethod>(
    method: M,
    work: (request: RequestOf<M>, call: Call) => ResponseOf<M> | Promise<ResponseOf<M>>,
  ): UnaryHandler => {
    const observed = observing(dependencies, method);
    return (request, caller) => observed(caller, (call) => work(request as RequestOf<M>, call));
  };
  return {
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
  };
};

/** Runs the work of one method after its fault, and tells span, metrics and log how it ended. */
const observing = (dependencies: RouteDependencies, method: UnaryMethod) => {
  const { clock, faults, log, metrics } = dependencies;
  const name = snakeCase(method);
  const path = `${EngineService.typeName}/${EngineService.method[method].name}`;
  return <O>(caller: Caller, work: (call: Call) => O | Promise<O>): O | Promise<O> => {
    const startMs = clock.nowMs();
    const span = beginRpcSpan(path, caller.headers);
    const record = (status: string, code: Code | null) => {
      const labels = { method: name, status };
      endRpcSpan(span, code);
      metrics.rpcRequests.add(1, labels);
      metrics.rpcDurationSeconds.record((clock.nowMs() - startMs) / 1000, labels);
    };
    const succeed = (response: O): O => {
      record('ok', null);
      log.debug({ method: name }, `RPC [${name}] ok`);
      return response;
    };
    const fail = (thrown: unknown): never => {
      const error = rpcErrorFrom(thrown);
      record(statusLabel(error), error.code);
      const elapsedMs = (clock.nowMs() - startMs).toFixed(1);
      log.warn(
        { method: name, code: Code[error.code] },
        `RPC [${name}] failed: code=${Code[error.code]} message=${error.rawMessage} elapsed_ms=${elapsedMs}`,
      );
      throw error;
    };
    try {
      const fault = faults.take(method);
      const call = callOf(caller, fault);
      const answered = isNone(fault) ? work(call) : afterFault(dependencies, method, caller, call, work);
      // Most work is done by now; a turn of waiting for nothing would cost more than the work.
      if (!(answered instanceof Promise)) return succeed(answered);
      return untilAborted(answered, caller.signal).then(succeed, fail);
    } catch (thrown) {
      return fail(thrown);
    }
  };
};

const callOf = (caller: Caller, fault: MethodFault): Call => ({
  fault,
  get signal() {
    return caller.signal;
  },
});

const isNone = ({ delayMs, hang, refuse, loseAck, answerOnly }: MethodFault): boolean =>
  delayMs === undefined && !hang && refuse === undefined && !loseAck && !answerOnly;

const afterFault = async <O>(
  { clock, faults }: RouteDependencies,
  method: RpcMethod,
  caller: Caller,
  call: Call,
  work: (call: Call) => O | Promise<O>,
): Promise<O> => {
  const { fault } = call;
  await untilFaultAllows(faults, clock, method, fault);
  if (caller.signal.aborted) throw caller.signal.reason;
  const response = fault.answerOnly === true ? (ok as O) : await work(call);
  if (fault.loseAck === true) await loseConnection(caller);
  return response;
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

const loseConnection = (caller: Caller): Promise<never> => {
  caller.dropConnection();
  return new Promise(() => {});
};

const snakeCase = (method: RpcMethod) => method.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
