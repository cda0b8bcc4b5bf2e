import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import {
  Engine,
  HealthResponseSchema,
  QueryResponseSchema,
  RegisterContextResponseSchema,
  ReleaseResponseSchema,
  SaveResponseSchema,
  UnregisterResponseSchema,
} from '../../../src/gen/pegaflow/engine_pb.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { atEnd, own } from '../../support/own.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

/** Another implementation of gRPC with the little behaviour that a connector needs: registrations, seal, sessions, hits. */
class ForeignServer {
  readonly calls: string[] = [];
  #server = new grpc.Server();
  #ranks = new Set<number>();
  #worldSize = 0;

  static async start(address = '127.0.0.1:0'): Promise<{ server: ForeignServer; address: string }> {
    const server = new ForeignServer();
    const credentials = grpc.ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) =>
      server.#server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port))),
    );
    atEnd(() => server.stop());
    return { server, address: `127.0.0.1:${port}` };
  }

  private constructor() {
    const status = { ok: true };
    const methods: grpc.UntypedServiceImplementation = {};
    const definition: Record<string, grpc.MethodDefinition<unknown, unknown>> = {};
    for (const method of Engine.methods) {
      const identity = (message: unknown) => message as Buffer;
      definition[method.localName] = {
        path: `/${Engine.typeName}/${method.name}`,
        requestStream: false,
        responseStream: method.methodKind === 'server_streaming',
        requestSerialize: identity,
        requestDeserialize: (bytes) => fromBinary(method.input as DescMessage, bytes),
        responseSerialize: identity,
        responseDeserialize: identity,
      };
    }
    const unary =
      <T extends DescMessage>(name: string, schema: T, answer: (request: never) => MessageInitShape<T> | Refusal) =>
      (call: { request: unknown }, reply: grpc.sendUnaryData<unknown>) => {
        this.calls.push(name);
        const answered = answer(call.request as never);
        if (answered instanceof Refusal) reply(answered);
        else reply(null, Buffer.from(toBinary(schema, create(schema, answered))));
      };
    methods['health'] = unary('health', HealthResponseSchema, () => ({ status }));
    methods['session'] = (call: grpc.ServerWritableStream<unknown, unknown>) => {
      this.calls.push('session');
      call.sendMetadata(new grpc.Metadata());
    };
    methods['registerContextBatch'] = unary(
      'register',
      RegisterContextResponseSchema,
      ({ tpRank, worldSize }: { tpRank: number; worldSize: number }) => {
        this.#ranks.add(tpRank);
        this.#worldSize = worldSize;
        return { status };
      },
    );
    methods['unregisterContext'] = unary('unregister', UnregisterResponseSchema, () => {
      if (this.#ranks.size === 0) return new Refusal(9, 'instance x not found');
      this.#ranks.clear();
      return { status };
    });
    methods['queryPrefetch'] = unary(
      'query',
      QueryResponseSchema,
      ({ groupId, blockHashes }: { groupId: number; blockHashes: Uint8Array[] }) => {
        if (this.#ranks.size === 0) return new Refusal(9, 'instance x not found');
        if (groupId > 0 && this.#ranks.size < this.#worldSize) {
          return new Refusal(3, `registration incomplete: ${this.#ranks.size}/${this.#worldSize}`);
        }
        if (groupId > 0) return new Refusal(3, `storage group ${groupId} out of range (1 groups)`);
        const value = { numHitBlocks: BigInt(blockHashes.length), lease: new Uint8Array(16).fill(7) };
        return { outcome: { case: 'ready' as const, value } };
      },
    );
    methods['save'] = unary('save', SaveResponseSchema, () => ({ status }));
    methods['release'] = unary('release', ReleaseResponseSchema, () => ({}));
    this.#server.addService(definition, methods);
  }

  /** Ends every connection at once. */
  async stop(): Promise<void> {
    this.#server.forceShutdown();
  }
}

class Refusal extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

describe('a server of another gRPC implementation', () => {
  it('is registered with, saved to and queried, and its restart is recovered from', async () => {
    const first = await ForeignServer.start();
    const instance = own(new TestInstance(`http://${first.address}`).start());
    await instance.reached('connected');
    expect(first.server.calls.slice(0, 5)).toEqual(['session', 'unregister', 'register', 'register', 'query']);
    const hashes = hashesOf(2);
    await instance.save('kept', [0, 1], hashes);
    expect(await instance.scheduler.query({ requestId: 'asks', blockHashes: hashes })).toEqual({
      kind: 'hit',
      blocks: 2,
    });
    instance.scheduler.release('asks');
    await eventually('the release to arrive', () => (first.server.calls.includes('release') ? true : null));

    await first.server.stop();
    await instance.reached('reconnecting');
    const second = await ForeignServer.start(first.address);
    await instance.reached('connected');
    // A rank that is back before it is told asks for itself.
    const isProbe = (call: string) => call === 'query' || call === 'save';
    const generation = second.server.calls.filter((call) => !isProbe(call)).slice(0, 4);
    expect(generation).toEqual(['session', 'unregister', 'register', 'register']);
  });
});
