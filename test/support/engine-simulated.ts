import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { createNoopMeter } from '@opentelemetry/api';
import { type Clock, createClock } from '@sinonjs/fake-timers';
import type { Call } from '../../src/engine/call.ts';
import { Engine, type EngineDependencies } from '../../src/engine/engine.ts';
import { silentLog } from '../../src/engine/engine-log.ts';
import { createEngineMetrics } from '../../src/engine/engine-metrics.ts';
import { FaultBoard, type FaultPatch, type MethodFault } from '../../src/engine/faults.ts';
import type { EngineClock } from '../../src/engine/timing/engine-clock.ts';
import { noCopyThread, type StartCopyThread } from '../../src/engine/transfers/copy-queue.ts';
import {
  LoadRequestSchema,
  type QueryReady,
  QueryRequestSchema,
  RegisterContextRequestSchema,
  ReleaseRequestSchema,
  SaveRequestSchema,
  SessionRequestSchema,
  UnregisterRequestSchema,
} from '../../src/gen/pegaflow/engine_pb.ts';

/** A unit of the pool, so that a pool holds as many blocks as it says. */
export const BLOCK_BYTES = 512;
const DEVICE_BLOCKS = 8;

export const callOf = (fault: MethodFault = {}, signal = new AbortController().signal): Call => ({ fault, signal });

export interface SimulationOptions {
  readonly poolBlocks?: number;
  readonly memoryBytes?: number;
  readonly faults?: FaultPatch;
  readonly startCopyThread?: StartCopyThread;
  readonly engine?: Partial<EngineDependencies>;
}

/** An engine whose clock stands still until it is told to go, with one layer of memory and one rank. */
export class SimulatedEngine {
  readonly clock: Clock = createClock();
  readonly engine: Engine;
  readonly faults: FaultBoard;
  readonly memory: Buffer;
  /** What the records of loads say, by name. */
  readonly loadStates = new Map<string, number>();
  #mappedCount = 0;
  #lastId = 0;

  constructor(options: SimulationOptions = {}) {
    this.memory = Buffer.alloc(options.memoryBytes ?? DEVICE_BLOCKS * BLOCK_BYTES);
    this.faults = new FaultBoard(options.faults);
    this.engine = new Engine({
      clock: this.#engineClock(),
      randomBytes: (sizeBytes) => Buffer.alloc(sizeBytes, ++this.#lastId),
      openTensor: ([deviceIndex = 0]) => this.#openTensor(deviceIndex),
      startCopyThread: options.startCopyThread ?? noCopyThread,
      attachLoadState: (name) => ({
        signal: (outcome) => void this.loadStates.set(name, outcome),
        [Symbol.dispose]: () => {},
      }),
      faults: this.faults,
      log: silentLog,
      metrics: createEngineMetrics(createNoopMeter(), 'v'),
      poolSizeBytes: (options.poolBlocks ?? 100) * BLOCK_BYTES,
      leaseTtlMs: 600_000,
      version: 'v',
      isAllocationBlockwise: false,
      insertDelayMs: 0,
      isLoadSizeUnchecked: false,
      ...options.engine,
    });
  }

  get mappedCount(): number {
    return this.#mappedCount;
  }

  /** Runs what is due now and in the next `ms`, and waits for `work`. */
  async during<T>(ms: number, work: T | Promise<T>): Promise<T> {
    const settled = Promise.resolve(work);
    settled.catch(() => {});
    await this.clock.tickAsync(ms);
    return settled;
  }

  register(instanceId = 'i', call = callOf(), change: MessageInitShape<typeof RegisterContextRequestSchema> = {}) {
    const request = create(RegisterContextRequestSchema, {
      instanceId,
      namespace: 'ns',
      tpSize: 1,
      worldSize: 1,
      clientVersion: 'v',
      layerNames: ['l'],
      wrapperBytes: [new Uint8Array(1)],
      numBlocks: [BigInt(DEVICE_BLOCKS)],
      bytesPerBlock: [BigInt(BLOCK_BYTES)],
      kvStrideBytes: [0n],
      segments: [1],
      ...change,
    });
    return this.engine.registrations.register(request, call);
  }

  unregister(instanceId = 'i', call = callOf()) {
    return this.engine.registrations.unregister(create(UnregisterRequestSchema, { instanceId }), call);
  }

  session(instanceId = 'i', fault: MethodFault = {}) {
    return this.engine.registrations.openSession(create(SessionRequestSchema, { instanceId }), fault);
  }

  /** Saves block `i` of the device, which begins again behind its last one, under `names[i]`. */
  save(
    names: readonly string[],
    call = callOf(),
    instanceId = 'i',
    layerNames: readonly string[] = ['l'],
    change: MessageInitShape<typeof SaveRequestSchema> = {},
  ) {
    const blockHashes = names.map((name) => Buffer.from(name));
    const blockIds = [...names.keys()].map((i) => i % DEVICE_BLOCKS);
    const saves = layerNames.map((layerName) => ({ layerName, blockIds, blockHashes }));
    return this.engine.save(create(SaveRequestSchema, { instanceId, saves, ...change }), call);
  }

  /** Saves and waits until the blocks are visible. */
  async saved(names: readonly string[]): Promise<void> {
    await this.during(10, this.save(names));
  }

  query(names: readonly string[], reqId = 'r', instanceId = 'i'): QueryReady | 'loading' {
    const blockHashes = names.map((name) => Buffer.from(name));
    const { outcome } = this.engine.queryPrefetch(create(QueryRequestSchema, { instanceId, reqId, blockHashes }));
    if (outcome.case === 'loading') return 'loading';
    if (outcome.value === undefined) throw new Error('a query without an answer');
    return outcome.value;
  }

  /** How long the prefix of hits is; gives its lease back. */
  hits(names: readonly string[]): number {
    const ready = this.query(names);
    if (ready === 'loading') throw new Error('the query is loading');
    if (ready.lease.length > 0) this.release(ready.lease);
    return Number(ready.numHitBlocks);
  }

  lease(names: readonly string[]): Uint8Array {
    const ready = this.query(names);
    if (ready === 'loading') throw new Error('the query is loading');
    return ready.lease;
  }

  release(lease: Uint8Array): void {
    this.engine.release(create(ReleaseRequestSchema, { lease }));
  }

  load(
    name: string,
    lease: Uint8Array,
    blockIds: readonly number[],
    instanceId = 'i',
    change: MessageInitShape<typeof LoadRequestSchema> = {},
  ): void {
    const targets = blockIds.map((value) => ({ target: { case: 'blockId' as const, value } }));
    const request = create(LoadRequestSchema, {
      instanceId,
      loadStateShm: name,
      groups: [{ layerNames: ['l'] }],
      loads: [{ lease, blockIdsByGroup: [{ targets }] }],
      ...change,
    });
    this.engine.load(request);
  }

  #engineClock(): EngineClock {
    return {
      nowMs: () => this.clock.now,
      after: (delayMs, callback) => {
        const timer = this.clock.setTimeout(callback, delayMs);
        return () => this.clock.clearTimeout(timer);
      },
    };
  }

  /** A wrapper is one byte here: the device that the memory is on. */
  #openTensor(deviceIndex: number) {
    let isMapped = true;
    this.#mappedCount += 1;
    const range = (offset: number, length: number) => {
      if (!isMapped) throw new Error('unmapped');
      return this.memory.subarray(offset, offset + length);
    };
    const memory = {
      deviceId: 0,
      sizeBytes: this.memory.length,
      read: (offset: number, target: Uint8Array) => target.set(range(offset, target.length)),
      write: (offset: number, source: Uint8Array) => range(offset, source.length).set(source),
      [Symbol.dispose]: () => {
        if (isMapped) this.#mappedCount -= 1;
        isMapped = false;
      },
    };
    return { memory, offsetBytes: 0, sizeBytes: this.memory.length, deviceIndex };
  }
}
