import type { LoadRequest, SaveRequest } from '../../gen/pegaflow/engine_pb.ts';
import type { BlockStore, StoredBlock } from '../cache/block-store.ts';
import type { InsertionQueue } from '../cache/insertion-queue.ts';
import { LEASE_SIZE_BYTES, type LeaseTable } from '../cache/lease-table.ts';
import type { Call } from '../call.ts';
import { badRequest, invalidArgument, messageOf, storageError } from '../engine-error.ts';
import type { EngineLog } from '../engine-log.ts';
import type { EngineMetrics } from '../engine-metrics.ts';
import type { GpuWorker } from '../registration/gpu-worker.ts';
import { type InstanceStore, requireWorker } from '../registration/instances.ts';
import { checkDeviceId } from '../registration/registration-request.ts';
import type { EngineClock } from '../timing/engine-clock.ts';
import { untilAborted } from '../timing/until-aborted.ts';
import { copySizeBytes, type LayerCopy } from './copy-queue.ts';
import { type PlannedBlock, planCopies, planGroups, planLease } from './load-plan.ts';
import { copiesInto, houseSlots } from './save-memory.ts';
import { type PlannedBatch, planSave } from './save-plan.ts';

/** A client's shared-memory record of one load. */
export interface LoadStateHandle extends Disposable {
  signal(outcome: 1 | -1): void;
}

export interface TransferDependencies {
  readonly instances: InstanceStore;
  readonly blocks: BlockStore;
  readonly insertion: InsertionQueue;
  readonly leases: LeaseTable;
  readonly clock: EngineClock;
  readonly log: EngineLog;
  readonly metrics: EngineMetrics;
  /** Throws when there is no such record, or it is not one. */
  readonly attachLoadState: (name: string) => LoadStateHandle;
  /** Whether each block of a Save has an allocation of its own, so that one lease does not hold its whole Save. */
  readonly isAllocationBlockwise: boolean;
  /** Whether a Load reads blocks in the size of their destination, whatever they were stored in. */
  readonly isLoadSizeUnchecked: boolean;
}

/** Copies between devices and the block store. */
export class Transfers {
  readonly #dependencies: TransferDependencies;
  #isSilenced = false;

  constructor(dependencies: TransferDependencies) {
    this.#dependencies = dependencies;
  }

  /** From now on records of loads stay as they are, as those of a process that died do. */
  silence(): void {
    this.#isSilenced = true;
  }

  /** Settles when the device has been read. A caller that leaves earlier gets its blocks dropped. */
  async save(request: SaveRequest, { signal }: Call): Promise<void> {
    const { instances, blocks, leases, log } = this.#dependencies;
    checkDeviceId(request.deviceId);
    for (const { layerName, blockIds, blockHashes } of request.saves) {
      if (blockIds.length === blockHashes.length) continue;
      throw badRequest(
        `block_ids length ${blockIds.length} does not match block_hashes ${blockHashes.length} for layer ${layerName}`,
      );
    }
    const instance = instances.requireSealed(request.instanceId);
    const worker = requireWorker(instance, request.deviceId);
    checkRanks(worker, request);
    const batches = planSave(instance, worker, request, (key) => blocks.has(key));
    if (batches.length === 0) {
      log.info({ instance: instance.id }, 'save_batch skipped (no valid blocks)');
      return;
    }
    leases.sweep();
    await worker.held(this.#copyToHost(worker, batches, signal));
  }

  /** Answers when the copy is queued; its end is written to the client's record. */
  load(request: LoadRequest): void {
    checkDeviceId(request.deviceId);
    for (const { lease } of request.loads) checkLeaseId(lease);
    const state = this.#attach(request.loadStateShm);
    try {
      this.#submit(request, state);
    } catch (error) {
      state.signal(-1);
      throw error;
    } finally {
      state[Symbol.dispose]();
    }
  }

  async #copyToHost(worker: GpuWorker, batches: readonly PlannedBatch[], signal: AbortSignal): Promise<void> {
    const { blocks, clock, insertion, isAllocationBlockwise, metrics } = this.#dependencies;
    const slots = houseSlots(blocks, batches, isAllocationBlockwise);
    const copies = slots.flatMap((slot) => copiesInto(blocks, slot));
    const startMs = clock.nowMs();
    const copied = worker.saveQueue.run(copies);
    try {
      await untilAborted(copied, signal);
    } catch (error) {
      const giveBack = () => blocks.free(slots.map(({ stored }) => stored));
      copied.then(giveBack, giveBack);
      throw signal.aborted ? error : storageError(messageOf(error));
    }
    metrics.saveBytes.add(copies.reduce((sum, copy) => sum + copySizeBytes(copy), 0));
    metrics.saveDurationSeconds.record((clock.nowMs() - startMs) / 1000);
    insertion.enqueue(slots);
  }

  #attach(name: string): LoadStateHandle {
    try {
      return this.#dependencies.attachLoadState(name);
    } catch (error) {
      throw storageError(`LoadState: ${messageOf(error)}`);
    }
  }

  #submit(request: LoadRequest, state: LoadStateHandle): void {
    const { instances, blocks, isLoadSizeUnchecked, leases } = this.#dependencies;
    const instance = instances.requireSealed(request.instanceId);
    const worker = requireWorker(instance, request.deviceId);
    const groups = planGroups(instance, request);
    const pinned: StoredBlock[] = [];
    const unpin = () => {
      for (const block of pinned) blocks.unpin(block);
    };
    let copies: LayerCopy[];
    try {
      const planned: PlannedBlock[] = [];
      for (const load of request.loads) {
        const leased = leases.consume(load.lease, instance.id);
        pinned.push(...leased);
        planned.push(...planLease(instance, groups, load, leased));
      }
      const { tpRank } = request;
      copies = planCopies({ instance, worker, tpRank, blocks, isSizeUnchecked: isLoadSizeUnchecked }, groups, planned);
    } catch (error) {
      unpin();
      throw error;
    }
    if (copies.length > 0) {
      void this.#copyToDevice(worker, copies, request.loadStateShm).finally(unpin);
      return;
    }
    unpin();
    state.signal(1);
  }

  async #copyToDevice(worker: GpuWorker, copies: readonly LayerCopy[], loadStateName: string): Promise<void> {
    const { clock, log, metrics } = this.#dependencies;
    const startMs = clock.nowMs();
    try {
      await worker.loadQueue.run(copies);
      metrics.loadBytes.add(copies.reduce((sum, copy) => sum + copySizeBytes(copy), 0));
      metrics.loadDurationSeconds.record((clock.nowMs() - startMs) / 1000);
      this.#signal(loadStateName, 1);
    } catch (error) {
      log.error({ device: worker.deviceId }, `load failed: ${messageOf(error)}`);
      metrics.loadFailures.add(1);
      this.#signal(loadStateName, -1);
    }
  }

  /** By name, as the client may have removed its record meanwhile. */
  #signal(loadStateName: string, outcome: 1 | -1): void {
    if (this.#isSilenced) return;
    const { attachLoadState, log } = this.#dependencies;
    try {
      const state = attachLoadState(loadStateName);
      state.signal(outcome);
      state[Symbol.dispose]();
    } catch (error) {
      log.error({ shm: loadStateName }, `Failed to attach to LoadState shm=${loadStateName}: ${messageOf(error)}`);
    }
  }
}

/** A lease id is 16 bytes. */
export const checkLeaseId = (lease: Uint8Array): void => {
  if (lease.length === 0) throw badRequest('query lease id must be non-empty');
  if (lease.length !== LEASE_SIZE_BYTES) {
    throw badRequest(`query lease id must be ${LEASE_SIZE_BYTES} bytes, got ${lease.length}`);
  }
};

const checkRanks = (worker: GpuWorker, { deviceId, tpRank, ppRank }: SaveRequest): void => {
  if (worker.tpRank === tpRank && worker.ppRank === ppRank) return;
  throw invalidArgument(
    `device_id ${deviceId} is registered for tp_rank ${worker.tpRank}, pp_rank ${worker.ppRank}, ` +
      `but save requested tp_rank ${tpRank}, pp_rank ${ppRank}`,
  );
};
