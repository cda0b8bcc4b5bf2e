import { deviceNotFound, instanceNotFound, invalidArgument, topologyMismatch } from '../engine-error.ts';
import type { EngineLog } from '../engine-log.ts';
import { type CopyQueues, GpuWorker, type WorkerRegistration } from './gpu-worker.ts';
import { type Topology, topologyFrom } from './topology.ts';

export interface InstanceShape {
  readonly namespace: string;
  readonly tpSize: number;
  readonly worldSize: number;
  readonly pageFirst: boolean;
}

export interface Instance extends InstanceShape {
  readonly id: string;
  readonly workers: ReadonlyMap<number, GpuWorker>;
  /** `null` until `worldSize` devices are in. */
  readonly topology: Topology | null;
}

export interface SealedInstance extends Instance {
  readonly topology: Topology;
}

interface MutableInstance extends InstanceShape {
  readonly id: string;
  readonly workers: Map<number, GpuWorker>;
  topology: Topology | null;
}

/** The second store: instances with their devices. Mapped memory is borrowed from the first, which may drop it. */
export class InstanceStore {
  readonly #instances = new Map<string, MutableInstance>();
  readonly #log: EngineLog;

  constructor(log: EngineLog) {
    this.#log = log;
  }

  get ids(): string[] {
    return [...this.#instances.keys()];
  }

  /** Throws FAILED_PRECONDITION when there is none. */
  require(instanceId: string): Instance {
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) throw instanceNotFound(instanceId);
    return instance;
  }

  /** Throws also while devices are missing, INVALID_ARGUMENT then. */
  requireSealed(instanceId: string): SealedInstance {
    const instance = this.require(instanceId);
    const { topology } = instance;
    if (topology === null) {
      throw invalidArgument(
        `instance ${instanceId} registration incomplete: ${instance.workers.size}/${instance.worldSize} workers registered`,
      );
    }
    return { ...instance, topology };
  }

  /**
   * Adds one device, and seals with the last one. A refusal leaves the instance itself behind, also one created by
   * this very call: an empty instance that pins its topology until it is removed. Queues are opened for what only the
   * seal can still refuse.
   */
  addWorker(
    instanceId: string,
    shape: InstanceShape,
    registration: WorkerRegistration,
    openQueues: () => CopyQueues,
  ): void {
    const instance = this.#getOrCreate(instanceId, shape);
    const { deviceId, tpRank, layers } = registration;
    if (tpRank >= instance.tpSize) {
      throw invalidArgument(`tp_rank ${tpRank} out of range (tp_size ${instance.tpSize})`);
    }
    if (layers.size === 0) throw invalidArgument('no KV cache layers');
    if (instance.workers.has(deviceId)) {
      throw invalidArgument(`GPU context for device ${deviceId} already exists`);
    }
    if (instance.topology !== null) {
      throw invalidArgument(
        `instance ${instanceId} is already fully registered (${instance.workers.size} workers); device ${deviceId} cannot join`,
      );
    }
    const worker = new GpuWorker(registration, openQueues());
    const workers = [...instance.workers.values(), worker];
    try {
      if (workers.length === instance.worldSize) this.#seal(instance, workers);
    } catch (error) {
      worker.release();
      throw error;
    }
    instance.workers.set(deviceId, worker);
  }

  /** Returns whether there was one. What its queues hold is still done. */
  remove(instanceId: string): boolean {
    for (const worker of this.#instances.get(instanceId)?.workers.values() ?? []) worker.release();
    return this.#instances.delete(instanceId);
  }

  #getOrCreate(instanceId: string, shape: InstanceShape): MutableInstance {
    const existing = this.#instances.get(instanceId);
    if (existing === undefined) {
      const created = { id: instanceId, ...shape, workers: new Map(), topology: null };
      this.#instances.set(instanceId, created);
      return created;
    }
    const isSame =
      existing.tpSize === shape.tpSize &&
      existing.worldSize === shape.worldSize &&
      existing.pageFirst === shape.pageFirst;
    if (isSame) return existing;
    throw topologyMismatch(
      `instance ${instanceId} exists with tp=${existing.tpSize}, world=${existing.worldSize}, page_first=${existing.pageFirst}; ` +
        `requested tp=${shape.tpSize}, world=${shape.worldSize}, page_first=${shape.pageFirst}`,
    );
  }

  #seal(instance: MutableInstance, workers: readonly GpuWorker[]): void {
    const topology = topologyFrom(instance.id, workers, instance.tpSize, instance.pageFirst);
    instance.topology = topology;
    const totalSlots = topology.groups.reduce((sum, group) => sum + group.slotCount, 0);
    this.#log.info(
      { instance: instance.id },
      `Sealed instance topology: instance=${instance.id}, num_layers=${topology.layerCount}, tp_size=${instance.tpSize}, ` +
        `world_size=${instance.worldSize}, total_slots=${totalSlots}`,
    );
  }
}

/** The device of an instance, or FAILED_PRECONDITION. */
export const requireWorker = (instance: Instance, deviceId: number): GpuWorker => {
  const worker = instance.workers.get(deviceId);
  if (worker === undefined) throw deviceNotFound(instance.id, deviceId);
  return worker;
};
