import { randomBytes } from 'node:crypto';
import type http from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { Engine } from './engine.ts';
import { messageOf } from './engine-error.ts';
import { createEngineMetrics } from './engine-metrics.ts';
import { FaultBoard } from './faults.ts';
import { GrpcListener } from './grpc/grpc-listener.ts';
import { type ServeGrpc, serveGrpc } from './grpc/grpc-service.ts';
import type { FaultRequest } from './http/fault-json.ts';
import { createAdminServer } from './http/http-admin.ts';
import { addressFrom, type EngineOptions, engineOptionsFrom, type HostPort, hostPortFrom } from './options.ts';
import { createTensorOpener } from './registration/tensor-opener.ts';
import { behaviourOf } from './server-version.ts';
import { systemClock } from './timing/engine-clock.ts';
import { noCopyThread } from './transfers/copy-queue.ts';
import { CopyThreads } from './transfers/copy-threads.ts';
import { attachLoadRecord } from './transfers/load-record.ts';
import { warmUp } from './warm-up.ts';

/** An engine that serves. */
export interface RunningEngine {
  /** `host:port` as it was bound. */
  readonly grpcAddress: string;
  /** `null` where there is no HTTP port. */
  readonly httpAddress: string | null;
  /** The switches, for an owner in this process. */
  readonly faults: FaultBoard;
  /** Settles when nothing is served any more, whoever ended it. */
  readonly stopped: Promise<void>;
  /** Ends as on SIGINT: says GOAWAY, accepts nobody and waits until every call has ended. A Session holds it up. */
  drain(): Promise<void>;
  /** Ends at once, as a killed process does: loads in flight are never reported. */
  close(): Promise<void>;
}

/**
 * Starts an engine in this process. HTTP listens before gRPC. Rejects when a port is in use, naming it. `serve` lets
 * another implementation of gRPC serve it.
 */
export const startEngine = async (
  given: Partial<EngineOptions> = {},
  serve: ServeGrpc = serveGrpc,
): Promise<RunningEngine> => {
  const options = engineOptionsFrom(given);
  const grpc = hostPortFrom(options.addr);
  const admin = options.httpAddr === null ? null : hostPortFrom(options.httpAddr);
  const { log } = options;
  const clock = systemClock;
  const faults = new FaultBoard(options.faults);
  const meter = (options.meterProvider ?? metrics.getMeterProvider()).getMeter('pegaflow-engine');
  const instruments = createEngineMetrics(meter, options.version);
  const copyThreads = new CopyThreads();
  const engine = new Engine({
    clock,
    randomBytes,
    openTensor: createTensorOpener(options.driver ?? createEmulatedDriver(), behaviourOf(options.version)),
    startCopyThread: options.hasCopyThreads ? copyThreads.start : noCopyThread,
    attachLoadState: attachLoadRecord,
    faults,
    log,
    metrics: instruments,
    poolSizeBytes: options.poolSizeBytes,
    leaseTtlMs: options.leaseTtlMs,
    version: options.version,
    isAllocationBlockwise: options.isAllocationBlockwise,
    insertDelayMs: options.insertDelayMs,
    isLoadSizeUnchecked: options.isLoadSizeUnchecked,
  });

  const stop = Promise.withResolvers<void>();
  const close = async () => {
    engine.silence();
    listener.destroy();
    await closeServer(adminServer);
    engine.close();
    await copyThreads[Symbol.asyncDispose]();
    log.info({}, 'Server stopped');
    stop.resolve();
  };
  let drained: Promise<void> | null = null;
  const drain = () => {
    drained ??= listener.drain().then(close);
    return drained;
  };
  const onShutdown = () => {
    log.warn({}, 'Shutdown requested via RPC');
    void closeServer(adminServer);
    // The answer to the call itself still has to leave before the GOAWAY.
    clock.after(0, () => void drain());
  };
  const crash = async () => {
    engine.silence();
    listener.destroy();
    await setTimeout(faults.switches.copyAfterCloseMs ?? 0);
    await close();
  };
  const onFaultRequest = async ({ forget, crash: isCrash }: FaultRequest) => {
    if (forget !== null) await engine.registrations.cleanupInstance(forget);
    if (isCrash) void crash();
  };

  const listener = new GrpcListener({
    serve: (server) => serve(server, { engine, clock, faults, log, metrics: instruments, onShutdown }),
    pingIntervalMs: options.pingIntervalMs,
    pingTimeoutMs: options.pingTimeoutMs,
    log,
  });
  const adminServer = createAdminServer({
    engine,
    metricsHandler: options.metricsHandler,
    faults: options.isFaultControlEnabled ? faults : null,
    onFaultRequest,
    listeningHost: admin?.host ?? '',
  });

  try {
    await warmUp({ clock, randomBytes });
    const httpAddress = admin === null ? null : await bind('HTTP', admin, () => listenHttp(adminServer, admin));
    const grpcAddress = await bind('gRPC', grpc, () => listener.listen(grpc.host, grpc.port));
    log.info({ addr: grpcAddress }, `PegaEngine gRPC server listening on ${grpcAddress}`);
    return { grpcAddress, httpAddress, faults, stopped: stop.promise, drain, close };
  } catch (error) {
    await close();
    throw error;
  }
};

const bind = async (what: string, address: HostPort, listen: () => Promise<number>): Promise<string> => {
  try {
    return addressFrom({ host: address.host, port: await listen() });
  } catch (error) {
    const isInUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    const reason = isInUse ? 'the port is in use' : messageOf(error);
    throw new Error(`cannot listen for ${what} on ${addressFrom(address)}: ${reason}`, { cause: error });
  }
};

const listenHttp = async (server: http.Server, { host, port }: HostPort): Promise<number> => {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error(`no TCP address on ${host}`);
  return address.port;
};

const closeServer = (server: http.Server): Promise<void> =>
  new Promise((resolve) => {
    if (!server.listening) resolve();
    else {
      server.close(() => resolve());
      server.closeAllConnections();
    }
  });
