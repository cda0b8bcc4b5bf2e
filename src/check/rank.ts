import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { type DeviceDriver, type DeviceMemory, LoadState } from '../../native-bindings/index.ts';
import { Engine, type QueryReady, type RegisterContextRequestSchema } from '../gen/pegaflow/engine_pb.ts';
import { PEGAFLOW_VERSION } from '../pegaflow-version.ts';
import { encodeIpcWrapper } from '../registration/ipc-wrapper.ts';
import { ClientSessions } from './client-sessions.ts';
import { eventually } from './eventually.ts';
import { expect, NotKeptError } from './expectation.ts';

export type EngineClient = Client<typeof Engine>;

/** A client on a connection of its own, which disposing destroys. */
export class ServerConnection implements Disposable {
  readonly client: EngineClient;
  readonly #sessions: ClientSessions;

  constructor(endpoint: string, interceptors: readonly Interceptor[] = []) {
    this.#sessions = new ClientSessions(endpoint);
    const transport = createGrpcTransport({
      baseUrl: endpoint,
      sessionManager: this.#sessions,
      acceptCompression: [],
      interceptors: [...interceptors],
      readMaxBytes: 64 << 20,
    });
    this.client = createClient(Engine, transport);
  }

  [Symbol.dispose](): void {
    this.#sessions[Symbol.dispose]();
  }
}

/** A hash as long as a real one, the same for the same words. */
export const hashOf = (words: string): Uint8Array => Uint8Array.from(Buffer.from(words.padEnd(32, '.')));

export const hashesOf = (count: number, prefix = 'block'): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => hashOf(`${prefix}-${i}`));

export const uniqueId = (): string => randomUUID();

/** Expects a refusal with this code and these words. */
export const expectRefusal = async (work: Promise<unknown>, code: Code, words: string | RegExp): Promise<void> => {
  const error = ConnectError.from(
    await work.then(
      () => new Error('was not refused'),
      (reason: unknown) => reason,
    ),
  );
  const isMet = typeof words === 'string' ? error.rawMessage === words : words.test(error.rawMessage);
  if (error.code === code && isMet) return;
  const expected = typeof words === 'string' ? `"${words}"` : `${words}`;
  throw new NotKeptError(`refused with ${Code[error.code]} "${error.rawMessage}", not ${Code[code]} ${expected}`);
};

/** An open session; ending it cancels the stream. */
export class ServerSession {
  readonly #abort = new AbortController();
  readonly ended: Promise<void>;

  private constructor(client: EngineClient, instanceId: string, onHeader: () => void) {
    const stream = client.session({ instanceId }, { signal: this.#abort.signal, onHeader });
    this.ended = (async () => {
      for await (const _ of stream) throw new Error('the server sent an event');
    })();
    this.ended.catch(() => {});
  }

  /** Settles when the response headers are here. */
  static async open(client: EngineClient, instanceId: string): Promise<ServerSession> {
    const headers = Promise.withResolvers<void>();
    const session = new ServerSession(client, instanceId, headers.resolve);
    await Promise.race([headers.promise, session.ended]);
    return session;
  }

  end(): void {
    this.#abort.abort();
  }
}

export interface RankOptions {
  /** What Register announces. Default: the version that the embedded engine has. */
  readonly clientVersion?: string;
  readonly instanceId?: string;
  readonly namespace?: string;
  readonly tpRank?: number;
  readonly tpSize?: number;
  readonly worldSize?: number;
  readonly ppRank?: number;
  readonly deviceId?: number;
  readonly layerNames?: readonly string[];
  readonly layerGroupIds?: readonly number[];
  readonly pageFirst?: boolean;
  readonly segments?: 1 | 2;
  /** All layers in one allocation, told apart by their storage offsets, as vLLM 0.33 has them. */
  readonly isOneAllocation?: boolean;
}

export const NUM_BLOCKS = 8;
export const SEGMENT_BYTES = 512;

/** One worker: its device memory, and the calls it makes. */
export class Rank implements Disposable {
  readonly client: EngineClient;
  readonly instanceId: string;
  readonly namespace: string;
  readonly layerNames: readonly string[];
  readonly options: RankOptions;
  readonly #memory: readonly DeviceMemory[];
  readonly #driver: DeviceDriver;
  readonly #segments: number;

  constructor(client: EngineClient, driver: DeviceDriver, options: RankOptions = {}) {
    this.client = client;
    this.options = options;
    this.instanceId = options.instanceId ?? uniqueId();
    this.namespace = options.namespace ?? this.instanceId;
    this.layerNames = options.layerNames ?? ['layer.0', 'layer.1'];
    this.#driver = driver;
    this.#segments = options.segments ?? 2;
    const sizes = this.layerNames.map(() => this.#layerBytes);
    const allocated = options.isOneAllocation ? [sizes.length * this.#layerBytes] : sizes;
    this.#memory = allocated.map((sizeBytes) => driver.allocate(this.deviceId, sizeBytes));
  }

  get #layerBytes(): number {
    return this.#segments * NUM_BLOCKS * SEGMENT_BYTES;
  }

  #shardOfRank(layerName: string): { readonly memory: DeviceMemory; readonly offsetBytes: number } {
    const i = this.layerNames.indexOf(layerName);
    if (this.options.isOneAllocation !== true) return { memory: this.#memory[i]!, offsetBytes: 0 };
    return { memory: this.#memory[0]!, offsetBytes: i * this.#layerBytes };
  }

  get deviceId(): number {
    return this.options.deviceId ?? 0;
  }

  get #address() {
    return { instanceId: this.instanceId, tpRank: this.options.tpRank ?? 0, deviceId: this.deviceId };
  }

  /** What Register sends; tests change single fields of it. */
  registration(): MessageInitShape<typeof RegisterContextRequestSchema> {
    const perLayer = <T>(value: T) => this.layerNames.map(() => value);
    return {
      ...this.#address,
      namespace: this.namespace,
      tpSize: this.options.tpSize ?? 1,
      worldSize: this.options.worldSize ?? 1,
      ppRank: this.options.ppRank ?? 0,
      pageFirst: this.options.pageFirst ?? false,
      layerGroupIds: [...(this.options.layerGroupIds ?? [])],
      clientVersion: this.options.clientVersion ?? PEGAFLOW_VERSION,
      layerNames: [...this.layerNames],
      wrapperBytes: this.layerNames.map((name) => this.wrapper(name)),
      numBlocks: perLayer(BigInt(NUM_BLOCKS)),
      bytesPerBlock: perLayer(BigInt(SEGMENT_BYTES)),
      kvStrideBytes: perLayer(BigInt(this.#segments === 2 ? NUM_BLOCKS * SEGMENT_BYTES : 0)),
      segments: perLayer(this.#segments),
    };
  }

  wrapper(layerName: string): Uint8Array {
    const { memory, offsetBytes } = this.#shardOfRank(layerName);
    return encodeIpcWrapper({
      deviceIndex: this.deviceId,
      memoryHandle: memory.exportHandle(),
      storageSizeBytes: memory.sizeBytes,
      storageOffsetBytes: 0,
      refCounterFile: Buffer.from('/torch_1_2'),
      refCounterSlot: 0,
      eventHandle: new Uint8Array(64),
      eventSyncRequired: false,
      dtype: 'bfloat16',
      shape: [this.#segments, NUM_BLOCKS, SEGMENT_BYTES / 2],
      stride: [(NUM_BLOCKS * SEGMENT_BYTES) / 2, SEGMENT_BYTES / 2, 1],
      storageOffset: offsetBytes / 2,
      deviceUuid: this.#driver.deviceUuid(this.deviceId),
    });
  }

  async register(): Promise<void> {
    await this.client.registerContextBatch(this.registration());
  }

  /** Writes one block of every layer; no two layers, segments or seeds look alike. */
  fill(blockId: number, seed: number): void {
    for (const name of this.layerNames) {
      for (const [segment, bytes] of this.#pattern(name, seed).entries()) {
        const { memory, offsetBytes } = this.#shardOfRank(name);
        memory.write(offsetBytes + this.#offset(segment, blockId), bytes);
      }
    }
  }

  /** Whether one block of every layer holds what {@link fill} wrote with this seed. */
  holds(blockId: number, seed: number, layerNames = this.layerNames): boolean {
    const found = new Uint8Array(SEGMENT_BYTES);
    return layerNames.every((name) =>
      this.#pattern(name, seed).every((expected, segment) => {
        const { memory, offsetBytes } = this.#shardOfRank(name);
        memory.read(offsetBytes + this.#offset(segment, blockId), found);
        return Buffer.compare(found, expected) === 0;
      }),
    );
  }

  async save(blockIds: readonly number[], hashes: readonly Uint8Array[], layerNames = this.layerNames): Promise<void> {
    const saves = layerNames.map((layerName) => ({ layerName, blockIds: [...blockIds], blockHashes: [...hashes] }));
    await this.client.save({ ...this.#address, ppRank: this.options.ppRank ?? 0, saves });
  }

  /** One Ready answer, or a failed expectation. */
  async query(hashes: readonly Uint8Array[], options: { groupId?: number; reqId?: string } = {}): Promise<QueryReady> {
    const { groupId = 0, reqId = uniqueId() } = options;
    const { outcome } = await this.client.queryPrefetch({
      instanceId: this.instanceId,
      blockHashes: [...hashes],
      reqId,
      groupId,
    });
    if (outcome.case !== 'ready') throw new Error(`expected ready, got ${outcome.case}`);
    return outcome.value;
  }

  /** Queries until all hashes are hits; visibility comes after the answer to the Save. */
  visible(hashes: readonly Uint8Array[], groupId = 0): Promise<QueryReady> {
    return eventually(`${hashes.length} blocks to be visible`, async () => {
      const ready = await this.query(hashes, { groupId });
      if (Number(ready.numHitBlocks) === hashes.length) return ready;
      if (ready.lease.length > 0) await this.client.release({ lease: ready.lease });
      return null;
    });
  }

  /** One Load of one lease into one group of layers; `null` gives a block no destination. */
  async load(
    lease: Uint8Array,
    targets: readonly (number | null)[],
    options: { layerNames?: readonly string[]; deviceId?: number } = {},
  ): Promise<LoadResult> {
    const { layerNames = this.layerNames, deviceId = this.deviceId } = options;
    const state = LoadState.create();
    const request = {
      ...this.#address,
      deviceId,
      loadStateShm: state.name,
      groups: [{ layerNames: [...layerNames] }],
      loads: [{ lease, blockIdsByGroup: [{ targets: targets.map(targetFrom) }] }],
    };
    const refusal = await this.client.load(request).then(
      () => null,
      (error: unknown) => ConnectError.from(error),
    );
    return new LoadResult(state, refusal);
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memory) memory[Symbol.dispose]();
  }

  #offset(segment: number, blockId: number): number {
    return (segment * NUM_BLOCKS + blockId) * SEGMENT_BYTES;
  }

  #pattern(layerName: string, seed: number): Uint8Array[] {
    const layer = [...layerName].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 251, 0);
    const rank = this.options.tpRank ?? 0;
    return Array.from({ length: this.#segments }, (_, segment) =>
      Uint8Array.from(
        { length: SEGMENT_BYTES },
        (_, i) => (seed * 37 + layer * 7 + segment * 101 + rank * 13 + i * 3) % 256,
      ),
    );
  }
}

const targetFrom = (blockId: number | null) =>
  blockId === null ? {} : { target: { case: 'blockId' as const, value: blockId } };

/** How a Load was answered, and the record in which it ends. Reading the end disposes of the record. */
export class LoadResult {
  readonly #state: LoadState;
  readonly refusal: ConnectError | null;

  constructor(state: LoadState, refusal: ConnectError | null) {
    this.#state = state;
    this.refusal = refusal;
  }

  /** Removes the record and returns what it says at this moment. */
  stateNow(): number {
    const state = this.#state.state();
    this.#state[Symbol.dispose]();
    return state;
  }

  /** Waits until the record says how the load ended, and removes it. */
  async end(): Promise<number> {
    try {
      return await eventually('the load to end', () => this.#state.state() || null);
    } finally {
      this.#state[Symbol.dispose]();
    }
  }

  /** Expects that the RPC was refused and the record says so too. */
  async expectRefused(code: Code, words: string | RegExp): Promise<void> {
    if (this.refusal === null) throw new NotKeptError(`the load was accepted, not refused with ${Code[code]}`);
    await expectRefusal(Promise.reject(this.refusal), code, words);
    expect(this.stateNow()).toBe(-1);
  }
}
