import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { LoadState } from '../../../native-bindings/load-state.ts';
import { Engine } from '../../../src/gen/pegaflow/engine_pb.ts';
import { EngineProcess } from '../../support/engine-process.ts';
import { hashesOf, TestConnection, TestRank, uniqueId } from '../../support/engine-rank.ts';
import { eventually } from '../../support/within.ts';

let engine: EngineProcess;
let client: Client;
const disposables: Disposable[] = [];

beforeAll(async () => {
  engine = await EngineProcess.start();
  client = new Client(engine.grpcAddress, credentials.createInsecure());
});
afterEach(() => {
  for (const disposable of disposables.splice(0).reverse()) disposable[Symbol.dispose]();
});
afterAll(async () => {
  client.close();
  await engine[Symbol.asyncDispose]();
});

const pathOf = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`;

const call = <M extends DescMethod>(
  method: M,
  request: MessageInitShape<M['input']>,
  deadlineMs = 5000,
): Promise<MessageShape<M['output']>> =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      pathOf(method),
      (message: MessageShape<M['input']>) => Buffer.from(toBinary(method.input, message)),
      (bytes: Buffer) => fromBinary(method.output, bytes) as MessageShape<M['output']>,
      create(method.input, request) as MessageShape<M['input']>,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
    );
  });

/** The same memory and registration as everywhere, without its client. */
const newRank = () => {
  const connection = new TestConnection(`http://${engine.grpcAddress}`);
  const rank = new TestRank(connection.client, createEmulatedDriver());
  disposables.push(connection, rank);
  return rank;
};

const { method } = Engine;

test('grpc-js registers, saves, queries, loads and releases', async () => {
  const rank = newRank();
  const { instanceId } = rank;
  rank.fill(0, 4);
  expect(await call(method.registerContextBatch, rank.registration())).toMatchObject({ status: { ok: true } });
  const saves = rank.layerNames.map((layerName) => ({ layerName, blockIds: [0], blockHashes: hashesOf(1) }));
  expect(await call(method.save, { instanceId, saves })).toMatchObject({ status: { ok: true } });
  const ready = await eventually('the block to be visible', async () => {
    const { outcome } = await call(method.queryPrefetch, { instanceId, reqId: 'r', blockHashes: hashesOf(1) });
    return outcome.case === 'ready' && outcome.value.numHitBlocks === 1n ? outcome.value : null;
  });
  const state = LoadState.create();
  disposables.push(state);
  const targets = [{ target: { case: 'blockId' as const, value: 6 } }];
  await call(method.load, {
    instanceId,
    loadStateShm: state.name,
    groups: [{ layerNames: [...rank.layerNames] }],
    loads: [{ lease: ready.lease, blockIdsByGroup: [{ targets }] }],
  });
  expect(await eventually('the load to end', () => state.state() || null)).toBe(1);
  expect(rank.holds(6, 4)).toBe(true);
  await expect(call(method.release, { lease: ready.lease })).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    details: 'query lease is unknown or expired',
  });
});

test('grpc-js reads codes and texts of refusals', async () => {
  const instanceId = uniqueId();
  await expect(call(method.save, { instanceId })).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    details: `instance ${instanceId} not found`,
  });
  await expect(call(method.queryPrefetch, { instanceId })).rejects.toMatchObject({
    code: status.INVALID_ARGUMENT,
    details: 'req_id must not be empty',
  });
});

test('a deadline ends a call that hangs, and the connection stays usable', async () => {
  await engine.fault({ methods: { rdmaHandshake: { hang: true } } });
  const late = call(method.rdmaHandshake, {}, 50);
  await expect(late).rejects.toMatchObject({ code: expect.toBeOneOf([status.CANCELLED, status.DEADLINE_EXCEEDED]) });
  await engine.logged('RPC [rdma_handshake] failed: code=Canceled');
  expect(await call(method.health, {})).toMatchObject({ status: { ok: true } });
});

test('a method that the service does not have is UNIMPLEMENTED', async () => {
  const unknown = { ...method.health, name: 'Nothing' };
  await expect(call(unknown, {})).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
});

test('grpc-js sees the headers of a session at once, and its end when the engine dies', async () => {
  const own = await EngineProcess.start();
  const ownClient = new Client(own.grpcAddress, credentials.createInsecure());
  const request = create(method.session.input, { instanceId: uniqueId() });
  const stream = ownClient.makeServerStreamRequest(
    pathOf(method.session),
    (message: typeof request) => Buffer.from(toBinary(method.session.input, message)),
    (bytes: Buffer) => bytes,
    request,
  );
  const ended = new Promise<ServiceError>((resolve) => {
    stream.on('error', resolve);
  });
  await new Promise((resolve) => {
    stream.on('metadata', resolve);
    stream.resume();
  });
  own.signal('SIGKILL');
  expect((await ended).code).toBe(status.UNAVAILABLE);
  ownClient.close();
});

test('a session without an instance id is refused in words', async () => {
  const request = create(method.session.input, {});
  const stream = client.makeServerStreamRequest(
    pathOf(method.session),
    (message: typeof request) => Buffer.from(toBinary(method.session.input, message)),
    (bytes: Buffer) => bytes,
    request,
  );
  const error = await new Promise<ServiceError>((resolve) => {
    stream.on('error', resolve);
    stream.resume();
  });
  expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, details: 'instance_id must not be empty' });
});
