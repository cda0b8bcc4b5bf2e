import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { afterEach, describe, expect, test } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { startEngine } from '../../../src/engine/index.ts';
import { Engine, RegisterContextRequestSchema } from '../../../src/gen/pegaflow/engine_pb.ts';
import { shmObjectsOf } from '../../native-bindings/shm-objects.ts';
import { EngineProcess } from '../../support/engine-process.ts';
import {
  expectRefusal,
  hashesOf,
  type RankOptions,
  TestConnection,
  TestRank,
  TestSession,
  uniqueId,
} from '../../support/engine-rank.ts';
import { eventually, within } from '../../support/within.ts';

const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  expect(shmObjectsOf(process.pid)).toEqual([]);
});

const startProcess = async (...args: Parameters<typeof EngineProcess.start>) => {
  const engine = await EngineProcess.start(...args);
  cleanups.push(() => engine[Symbol.asyncDispose]());
  return engine;
};

const connect = (grpcAddress: string) => {
  const connection = new TestConnection(`http://${grpcAddress}`);
  cleanups.push(() => connection[Symbol.dispose]());
  return connection;
};

const rankAt = (grpcAddress: string, options: RankOptions = {}) => {
  const rank = new TestRank(connect(grpcAddress).client, createEmulatedDriver(), options);
  cleanups.push(() => rank[Symbol.dispose]());
  return rank;
};

const tcp = async (grpcAddress: string) => {
  const { hostname, port } = new URL(`http://${grpcAddress}`);
  const socket = net.connect(Number(port), hostname);
  cleanups.push(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
};

/** Starts an engine in this process; a rank of this process cannot register there. */
const startHere = async (options: Parameters<typeof startEngine>[0] = {}) => {
  const engine = await startEngine({ addr: '127.0.0.1:0', httpAddr: '127.0.0.1:0', ...options });
  cleanups.push(() => engine.close());
  return engine;
};

describe('bad input', () => {
  test('garbage on the port ends that connection and nothing else', async () => {
    const { grpcAddress } = await startHere();
    const garbage = [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      Buffer.alloc(4096, 0xff),
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(256, 0x7f)]),
    ];
    for (const bytes of garbage) {
      const socket = await tcp(grpcAddress);
      socket.resume();
      socket.write(bytes);
      await within(5000, 'the engine to hang up', once(socket, 'close'));
    }
    expect(await connect(grpcAddress).client.health({})).toMatchObject({ status: { ok: true } });
  });

  test('a message over 64 MiB is OUT_OF_RANGE and the connection stays usable', async () => {
    const { grpcAddress } = await startHere();
    const { client } = connect(grpcAddress);
    const session = await TestSession.open(client, uniqueId());
    const huge = client.save({ saves: [{ layerName: 'l', blockHashes: [new Uint8Array(65 << 20)] }] });
    await expectRefusal(huge, Code.OutOfRange, /length too large/);
    const large = client.save({
      instanceId: 'i',
      saves: [{ layerName: 'l', blockHashes: [new Uint8Array(63 << 20)] }],
    });
    await expectRefusal(large, Code.InvalidArgument, /does not match/);
    expect(await client.health({})).toMatchObject({ status: { ok: true } });
    session.end();
    await expect(session.ended).rejects.toMatchObject({ code: Code.Canceled });
  });

  test('bytes that are no message are INTERNAL or INVALID_ARGUMENT, and the connection stays usable', async () => {
    const { grpcAddress } = await startHere();
    const client = rawClient(grpcAddress);
    for (const path of ['/pegaflow.Engine/Save', '/pegaflow.Engine/Session']) {
      const { 'grpc-status': status } = await rawCall(client, path, Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x7f]));
      expect([Code.Internal, Code.InvalidArgument]).toContain(Number(status));
    }
    const ok = await rawCall(client, '/pegaflow.Engine/Health', Buffer.alloc(5));
    expect(ok['grpc-status']).toBe('0');
  });

  test('a port in use is an error that names it, and harms nobody', async () => {
    const first = await startHere();
    const grpcTaken = startEngine({ addr: first.grpcAddress, httpAddr: null });
    await expect(grpcTaken).rejects.toThrow(`cannot listen for gRPC on ${first.grpcAddress}: the port is in use`);
    const httpTaken = startEngine({ addr: '127.0.0.1:0', httpAddr: first.httpAddress });
    await expect(httpTaken).rejects.toThrow(`cannot listen for HTTP on ${first.httpAddress}: the port is in use`);
    expect(await connect(first.grpcAddress).client.health({})).toMatchObject({ status: { ok: true } });
  });

  test.each([
    [{ addr: 'nonsense' }, 'not an address (host:port): nonsense'],
    [{ addr: '127.0.0.1:70000' }, 'not an address (host:port): 127.0.0.1:70000'],
    [{ poolSizeBytes: 0 }, 'poolSizeBytes must be a whole number above 0, got 0'],
    [{ leaseTtlMs: 2 ** 31 }, 'leaseTtlMs must be above 0 and at most 2147483647, got 2147483648'],
  ])('the option %j is refused in words', async (options, words) => {
    await expect(startEngine(options)).rejects.toThrow(words);
  });
});

const rawClient = (grpcAddress: string) => {
  const client = http2.connect(`http://${grpcAddress}`);
  client.on('error', () => {});
  cleanups.push(() => client.destroy());
  return client;
};

const rawCall = async (client: http2.ClientHttp2Session, path: string, body: Buffer, headers = {}) => {
  const stream = client.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const received: http2.IncomingHttpHeaders = {};
  stream.on('response', (head) => Object.assign(received, head));
  stream.on('trailers', (trailers) => Object.assign(received, trailers));
  stream.resume();
  stream.end(body);
  await within(5000, `an answer to ${path}`, once(stream, 'close'));
  return received;
};

describe('calls that end early', () => {
  test('a grpc-timeout that expires is CANCELLED "Timeout expired"', async () => {
    const { grpcAddress } = await startHere({ faults: { methods: { health: { hang: true } } } });
    const answer = await rawCall(rawClient(grpcAddress), '/pegaflow.Engine/Health', Buffer.alloc(5), {
      'grpc-timeout': '40m',
    });
    expect(answer).toMatchObject({ 'grpc-status': '1', 'grpc-message': 'Timeout%20expired' });
  });

  test('a connection that closes under a Register leaves a zombie context', async () => {
    const engine = await startProcess();
    const rank = rankAt(engine.grpcAddress);
    await engine.fault({ methods: { registerContextBatch: { hang: true, times: 1 } } });
    const client = rawClient(engine.grpcAddress);
    const message = toBinary(RegisterContextRequestSchema, create(RegisterContextRequestSchema, rank.registration()));
    const frame = Buffer.concat([Buffer.alloc(5), message]);
    frame.writeUInt32BE(message.length, 1);
    const call = rawCall(client, '/pegaflow.Engine/RegisterContextBatch', frame);
    await eventually('the call to arrive', async () => {
      const { text } = await engine.http('GET', '/faults');
      return JSON.parse(text).methods.registerContextBatch.times === 0 || null;
    });
    client.destroy();
    await call;
    await engine.logged('RPC [register_context_batch] failed');
    await engine.fault({ methods: { registerContextBatch: null } });
    await expectRefusal(rank.register(), Code.Internal, /already registered$/);
  });

  test('a lost acknowledgement is work done and a connection gone', async () => {
    const engine = await startProcess();
    const rank = rankAt(engine.grpcAddress);
    await engine.fault({ methods: { registerContextBatch: { loseAck: true, times: 1 } } });
    await expect(rank.register()).rejects.toThrow();
    await rankAt(engine.grpcAddress, { instanceId: rank.instanceId }).save([], []);
  });

  test('a client that does not answer pings is dropped with its session', async () => {
    const { grpcAddress } = await startHere({ pingIntervalMs: 20, pingTimeoutMs: 60 });
    const socket = await tcp(grpcAddress);
    const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), emptySettings]));
    socket.resume();
    await within(5000, 'the engine to hang up', once(socket, 'close'));
  });
});

describe('transfers in flight', () => {
  const loadUnderway = async (engine: EngineProcess) => {
    const rank = rankAt(engine.grpcAddress);
    const session = await TestSession.open(rank.client, rank.instanceId);
    await rank.register();
    rank.fill(0, 1);
    await rank.save([0, 0, 0], hashesOf(3));
    const { lease } = await rank.visible(hashesOf(3));
    return { rank, session, lease };
  };

  test('a killed engine leaves the record of a load pending', async () => {
    const engine = await startProcess();
    const { rank, lease } = await loadUnderway(engine);
    await engine.fault({ copyDelayMs: 60_000 });
    const load = await rank.load(lease, [1, 2, 3]);
    engine.signal('SIGKILL');
    await engine.exited;
    expect([load.refusal, load.stateNow(), rank.holds(1, 1)]).toEqual([null, 0, false]);
  });

  test('a cleanup unmaps the memory under a running load, which ends in -1', async () => {
    const engine = await startProcess();
    const { rank, lease, session } = await loadUnderway(engine);
    await engine.fault({ copyDelayMs: 200 });
    const load = await rank.load(lease, [1, 2, 3]);
    session.end();
    expect(await load.end()).toBe(-1);
    expect(rank.holds(3, 1)).toBe(false);
  });

  test('with copyAfterCloseMs the copies of a load still land after the cleanup', async () => {
    const engine = await startProcess();
    const { rank, lease, session } = await loadUnderway(engine);
    await engine.fault({ copyDelayMs: 100, copyAfterCloseMs: 10_000 });
    const load = await rank.load(lease, [1, 2, 3]);
    session.end();
    await engine.logged('dropped 2 CUDA tensors');
    expect(rank.holds(3, 1)).toBe(false);
    expect(await load.end()).toBe(1);
    expect(rank.holds(3, 1)).toBe(true);
  });

  test('a crash closes everything first, goes on copying and reports nothing', async () => {
    const engine = await startProcess();
    const { rank, lease, session } = await loadUnderway(engine);
    await engine.fault({ copyDelayMs: 60, copyAfterCloseMs: 1000 });
    const load = await rank.load(lease, [1, 2, 3]);
    await engine.fault({ crash: true }).catch(() => {});
    await expect(session.ended).rejects.toThrow();
    await expect(tcp(engine.grpcAddress)).rejects.toThrow();
    expect(engine.isRunning).toBe(true);
    await eventually('a late copy', () => rank.holds(3, 1) || null);
    expect(await within(5000, 'the end of the engine', engine.exited)).toBe(0);
    expect(load.stateNow()).toBe(0);
  });

  test('a refusal and a delay are played as they are set', async () => {
    const engine = await startProcess({
      faults: { methods: { save: { refuse: { code: 13, message: 'no' }, times: 1 } } },
    });
    const { client } = connect(engine.grpcAddress);
    await expectRefusal(client.save({ instanceId: 'i' }), Code.Internal, 'no');
    await expectRefusal(client.save({ instanceId: 'i' }), Code.FailedPrecondition, 'instance i not found');
    await engine.fault({ version: '9.9.9' });
    await expectRefusal(client.registerContextBatch({}), Code.FailedPrecondition, /server=9\.9\.9$/);
  });
});

describe('the process', () => {
  test('a connection made while draining succeeds and hears nothing', async () => {
    const engine = await startProcess();
    const session = await TestSession.open(connect(engine.grpcAddress).client, uniqueId());
    engine.signal('SIGINT');
    await engine.logged('draining');
    const socket = await tcp(engine.grpcAddress);
    const received: Buffer[] = [];
    socket.on('data', (data) => received.push(data));
    const closed = once(socket, 'close');
    session.end();
    expect(await within(5000, 'the engine to end', engine.exited)).toBe(0);
    await closed;
    expect(received).toEqual([]);
  });

  test('/metrics has the names that dashboards know', async () => {
    const engine = await startProcess();
    const rank = rankAt(engine.grpcAddress);
    await rank.register();
    await rank.save([0], hashesOf(1));
    await rank.visible(hashesOf(1));
    await rank.client.release({ lease: new Uint8Array(16) }).catch(() => {});
    const { text } = await engine.http('GET', '/metrics');
    const sample = (name: string, labels = '') => {
      const line = text.split('\n').find((each) => each.startsWith(`${name}{`) && each.includes(labels));
      return line === undefined ? null : Number(line.split(' ').at(-1));
    };
    expect({
      saved: sample('pegaflow_save_bytes_total'),
      resident: sample('pegaflow_cache_resident_blocks'),
      insertions: sample('pegaflow_cache_block_insertions_total'),
      hits: sample('pegaflow_cache_block_hits_total'),
      capacity: sample('pegaflow_pool_capacity_bytes'),
      used: sample('pegaflow_pool_used_bytes'),
      registered: sample('pegaflow_rpc_requests_total', 'method="register_context_batch",status="ok"'),
      releaseRefused: sample(
        'pegaflow_rpc_requests_total',
        `method="release",status="The system is not in a state required for the operation's execution"`,
      ),
    }).toEqual({
      saved: 2048,
      resident: 1,
      insertions: 1,
      hits: 1,
      capacity: 2 ** 30,
      used: 2048,
      registered: 1,
      releaseRefused: 1,
    });
  });

  test('without metrics /metrics is 404, and without fault control so is /faults', async () => {
    const { httpAddress } = await startHere();
    const get = async (path: string) => {
      const response = await fetch(`http://${httpAddress}${path}`);
      return [response.status, await response.text()];
    };
    expect(await get('/metrics')).toEqual([404, 'metrics not enabled']);
    expect(await get('/faults')).toEqual([404, '']);
  });

  test('every RPC of the contract is served', async () => {
    const { grpcAddress } = await startHere();
    const client = rawClient(grpcAddress);
    const unary = Engine.methods.filter(({ methodKind }) => methodKind === 'unary').map(({ name }) => name);
    for (const name of unary.toSorted((a, b) => Number(a === 'Shutdown') - Number(b === 'Shutdown'))) {
      const { 'grpc-status': status } = await rawCall(client, `/pegaflow.Engine/${name}`, Buffer.alloc(5));
      expect(Number(status), name).not.toBe(Code.Unimplemented);
    }
  });
});
