import http2 from 'node:http2';
import { duplexPair } from 'node:stream';
import { create, type DescMethod, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { createNoopMeter } from '@opentelemetry/api';
import { LoadState } from '../../native-bindings/load-state.ts';
import { Engine as EngineService } from '../gen/pegaflow/engine_pb.ts';
import { POOL_UNIT_BYTES } from './cache/host-pool.ts';
import { Engine, type EngineDependencies } from './engine.ts';
import { silentLog } from './engine-log.ts';
import { createEngineMetrics } from './engine-metrics.ts';
import { FaultBoard } from './faults.ts';
import { GrpcListener } from './grpc/grpc-listener.ts';
import { serveGrpc } from './grpc/grpc-service.ts';
import { noCopyThread } from './transfers/copy-queue.ts';

const instanceId = 'warm-up';
const layerNames = ['layer'];
const rank = { instanceId, tpRank: 0, tpSize: 1, worldSize: 1, deviceId: 0 };
const layout = { layerNames, wrapperBytes: [new Uint8Array(1)], numBlocks: [1n], bytesPerBlock: [1n] };

/**
 * Runs the main calls once on an engine of its own, over a connection in memory, so that the first client does not
 * pay for compiling them. Cold, a Session and a Register take about 28 ms in place of 8: what a connector adds to a recovery
 * could not be measured beside that (`npm run bench`).
 */
export const warmUp = async ({
  clock,
  randomBytes,
}: Pick<EngineDependencies, 'clock' | 'randomBytes'>): Promise<void> => {
  loadSharedMemoryLibrary();
  const faults = new FaultBoard();
  const metrics = createEngineMetrics(createNoopMeter(), '');
  const base = { clock, faults, log: silentLog, metrics };
  const memory = { deviceId: 0, sizeBytes: 1, read: () => {}, write: () => {}, [Symbol.dispose]: () => {} };
  const engine = new Engine({
    ...base,
    randomBytes,
    openTensor: () => ({ memory, offsetBytes: 0, sizeBytes: 1, deviceIndex: 0 }),
    startCopyThread: noCopyThread,
    attachLoadState: () => ({ signal: () => {}, [Symbol.dispose]: () => {} }),
    poolSizeBytes: POOL_UNIT_BYTES,
    leaseTtlMs: 1000,
    isAllocationBlockwise: false,
    insertDelayMs: 0,
    isLoadSizeUnchecked: false,
    version: '',
  });
  const listener = new GrpcListener({
    serve: (server) => serveGrpc(server, { ...base, engine, onShutdown: () => {} }),
    pingIntervalMs: 1000,
    pingTimeoutMs: 1000,
    log: silentLog,
  });
  const [clientSide, serverSide] = duplexPair();
  listener.accept(serverSide);
  const client = http2.connect('http://warm-up', { createConnection: () => clientSide });
  const { session, registerContextBatch, unregisterContext, save, queryPrefetch, health } = EngineService.method;
  const saves = [{ layerName: 'layer', blockIds: [0], blockHashes: [new Uint8Array(1)] }];
  try {
    open(client, session, { instanceId });
    await call(client, registerContextBatch, { ...rank, ...layout, kvStrideBytes: [0n], segments: [1] });
    await call(client, save, { ...rank, saves });
    await call(client, queryPrefetch, { instanceId, reqId: 'warm-up', blockHashes: [new Uint8Array(1)] });
    await call(client, health, {});
    for (const _ of ['registered', 'not found']) {
      await call(client, queryPrefetch, { instanceId, reqId: 'warm-up', groupId: 1 });
      await call(client, unregisterContext, { instanceId });
    }
  } finally {
    client.destroy();
    listener.destroy();
    engine.close();
  }
};

/** The first use of shared memory loads the C library's bindings; a record that is not there is enough. */
const loadSharedMemoryLibrary = () => {
  try {
    LoadState.attach('pegaflow-warm-up')[Symbol.dispose]();
  } catch {
    return;
  }
};

const open = <M extends DescMethod>(
  client: http2.ClientHttp2Session,
  method: M,
  request: MessageInitShape<M['input']>,
): http2.ClientHttp2Stream => {
  const stream = client.request({
    ':method': 'POST',
    ':path': `/${method.parent.typeName}/${method.name}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const message = toBinary(method.input, create(method.input, request));
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  stream.on('error', () => {});
  stream.resume();
  stream.end(Buffer.concat([header, message]));
  return stream;
};

const call = <M extends DescMethod>(
  client: http2.ClientHttp2Session,
  method: M,
  request: MessageInitShape<M['input']>,
): Promise<void> =>
  new Promise((resolve) => {
    open(client, method, request).once('close', resolve);
  });
