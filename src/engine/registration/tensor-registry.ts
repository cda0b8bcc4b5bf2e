import type { MappedMemory } from '../../../native-bindings/device-memory.ts';
import { messageOf, registerTensorFailed } from '../engine-error.ts';
import type { EngineTimers } from '../timing/engine-timers.ts';
import { SerialQueue } from '../timing/serial-queue.ts';

/** The memory of one layer, mapped here. */
export interface Tensor {
  readonly memory: MappedMemory;
  /** Where the layer's storage starts inside `memory`. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Ordinal in this process of the device that the memory is on. */
  readonly deviceIndex: number;
}

/** Turns the bytes of a registration into mapped memory; throws with the reason when they are not what they must be. */
export type OpenTensor = (wrapperBytes: Uint8Array) => Tensor;

export interface TensorRegistryDependencies {
  readonly openTensor: OpenTensor;
  /** Milliseconds for which a dropped tensor stays mapped. */
  readonly unmapDelayMs: () => number;
  readonly timers: EngineTimers;
}

export interface ContextRequest {
  readonly instanceId: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly deviceId: number;
  readonly layerNames: readonly string[];
  readonly wrapperBytes: readonly Uint8Array[];
}

export const contextKey = (context: Pick<ContextRequest, 'instanceId' | 'tpRank' | 'ppRank' | 'deviceId'>) =>
  `${context.instanceId}:tp${context.tpRank}:pp${context.ppRank}:dev${context.deviceId}`;

/**
 * The first of the two stores: memory mapped for each rank, owned by one thread. It knows nothing of instances and
 * drops by the string prefix `<instance>:`, so an instance named `a:b` falls with `a`.
 */
export class TensorRegistry {
  readonly #dependencies: TensorRegistryDependencies;
  readonly #contexts = new Map<string, ReadonlyMap<string, Tensor>>();
  /** Dropped and still mapped. */
  readonly #retired = new Set<Tensor>();
  readonly #thread = new SerialQueue();

  constructor(dependencies: TensorRegistryDependencies) {
    this.#dependencies = dependencies;
  }

  /** Maps all layers of one rank or none. `gate` is waited for on the thread itself, so it holds up what follows. */
  register(request: ContextRequest, gate: () => Promise<void>): Promise<ReadonlyMap<string, Tensor>> {
    return this.#thread.run(async () => {
      await gate();
      return this.#register(request);
    });
  }

  /** Drops every context of the instance. Returns how many tensors that were. */
  dropInstance(instanceId: string, gate?: () => Promise<void>): Promise<number> {
    return this.#thread.run(async () => {
      await gate?.();
      return this.#drop((key) => key.startsWith(`${instanceId}:`));
    });
  }

  dropContext(droppedKey: string): Promise<number> {
    return this.#thread.run(() => this.#drop((key) => key === droppedKey));
  }

  dropAll(): Promise<number> {
    return this.#thread.run(() => this.#drop(() => true));
  }

  /** Unmaps everything now, whatever the thread is doing: for the end of the process. */
  close(): void {
    for (const tensors of this.#contexts.values()) for (const { memory } of tensors.values()) memory[Symbol.dispose]();
    for (const { memory } of this.#retired) memory[Symbol.dispose]();
    this.#contexts.clear();
    this.#retired.clear();
  }

  #register(request: ContextRequest): ReadonlyMap<string, Tensor> {
    const key = contextKey(request);
    if (this.#contexts.has(key)) throw registerTensorFailed(`context ${key} is already registered`);
    const duplicate = request.layerNames.find((name, i) => request.layerNames.indexOf(name) !== i);
    if (duplicate !== undefined)
      throw registerTensorFailed(`layer ${duplicate} appears more than once in context ${key}`);
    const tensors = new Map<string, Tensor>();
    try {
      for (const [i, layerName] of request.layerNames.entries()) {
        const tensor = this.#dependencies.openTensor(request.wrapperBytes[i]!);
        tensors.set(layerName, tensor);
        if (tensor.deviceIndex !== request.deviceId) {
          throw new Error(`context ${key} is pinned to device ${request.deviceId} but got ${tensor.deviceIndex}`);
        }
      }
    } catch (error) {
      for (const tensor of tensors.values()) tensor.memory[Symbol.dispose]();
      throw registerTensorFailed(messageOf(error));
    }
    this.#contexts.set(key, tensors);
    return tensors;
  }

  #drop(isDropped: (key: string) => boolean): number {
    let dropped = 0;
    for (const [key, tensors] of this.#contexts) {
      if (!isDropped(key)) continue;
      this.#contexts.delete(key);
      for (const tensor of tensors.values()) this.#retire(tensor);
      dropped += tensors.size;
    }
    return dropped;
  }

  #retire(tensor: Tensor): void {
    const { timers, unmapDelayMs } = this.#dependencies;
    const delayMs = unmapDelayMs();
    if (delayMs === 0) {
      tensor.memory[Symbol.dispose]();
      return;
    }
    this.#retired.add(tensor);
    timers.after(delayMs, () => {
      this.#retired.delete(tensor);
      tensor.memory[Symbol.dispose]();
    });
  }
}
