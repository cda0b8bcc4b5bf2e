import type { RegisterContextRequest, SessionRequest, UnregisterRequest } from '../../gen/pegaflow/engine_pb.ts';
import type { LeaseTable } from '../cache/lease-table.ts';
import type { Call } from '../call.ts';
import { badRequest, cudaInitFailed, instanceNotFound, messageOf } from '../engine-error.ts';
import type { EngineLog } from '../engine-log.ts';
import type { FaultBoard, MethodFault, RpcMethod } from '../faults.ts';
import { type EngineClock, sleep } from '../timing/engine-clock.ts';
import { untilThawed } from '../timing/thaw.ts';
import { untilAborted } from '../timing/until-aborted.ts';
import { CopyQueue, type StartCopyThread } from '../transfers/copy-queue.ts';
import type { CopyQueues } from './gpu-worker.ts';
import type { InstanceStore } from './instances.ts';
import { checkRegistration, checkVersion, layersFrom } from './registration-request.ts';
import { SessionTable } from './session-table.ts';
import { contextKey, type TensorRegistry } from './tensor-registry.ts';

export interface RegistrationDependencies {
  readonly registry: TensorRegistry;
  readonly instances: InstanceStore;
  readonly leases: LeaseTable;
  readonly clock: EngineClock;
  readonly faults: FaultBoard;
  readonly log: EngineLog;
  readonly startCopyThread: StartCopyThread;
  readonly version: string;
}

export interface Cleanup {
  readonly removedInstances: readonly string[];
  readonly removedTensors: number;
}

/** One session as its end must name it. */
export interface SessionHandle {
  readonly instanceId: string;
  readonly token: number;
  readonly fault: MethodFault;
}

/**
 * How instances come and go. Everything passes through two stores that share no lock, first the mapped memory and
 * then the instances, and every way to leave between the two leaves what it leaves at the real server.
 */
export class Registrations {
  readonly #dependencies: RegistrationDependencies;
  readonly #sessions = new SessionTable();

  constructor(dependencies: RegistrationDependencies) {
    this.#dependencies = dependencies;
  }

  async register(request: RegisterContextRequest, call: Call): Promise<void> {
    const { faults, instances, log, registry, version } = this.#dependencies;
    checkVersion(request.clientVersion, faults.switches.version ?? version);
    checkRegistration(request);
    const gate = this.#gate('registerContextBatch', call.fault);
    const tensors = await untilAborted(registry.register(request, gate), call.signal);
    await this.#betweenSteps(call);
    try {
      const { deviceId, tpRank, ppRank } = request;
      const registration = { deviceId, tpRank, ppRank, layers: layersFrom(request, tensors) };
      instances.addWorker(request.instanceId, request, registration, () => this.#openQueues(deviceId));
    } catch (error) {
      log.warn({ instance: request.instanceId }, `Rolling back registration: ${messageOf(error)}`);
      await untilAborted(registry.dropContext(contextKey(request)), call.signal);
      throw error;
    }
    log.info(
      { instance: request.instanceId },
      `Registered context batch: instance=${request.instanceId} device=${request.deviceId} ` +
        `layers=${request.layerNames.length} tp_rank=${request.tpRank}/${request.tpSize}, pp_rank=${request.ppRank}`,
    );
  }

  async unregister({ instanceId }: UnregisterRequest, call: Call): Promise<void> {
    const { log, registry } = this.#dependencies;
    const gate = this.#gate('unregisterContext', call.fault);
    await untilAborted(registry.dropInstance(instanceId, gate), call.signal);
    await this.#betweenSteps(call);
    if (!this.#removeInstance(instanceId)) throw instanceNotFound(instanceId);
    log.info({ instance: instanceId }, `Unregistered instance: ${instanceId}`);
  }

  /** Installs the session; from then on the end of an older one of the same instance means nothing. */
  openSession({ instanceId }: SessionRequest, fault: MethodFault): SessionHandle {
    if (instanceId === '') throw badRequest('instance_id must not be empty');
    const token = this.#sessions.install(instanceId);
    this.#dependencies.log.info({ instance: instanceId }, `Session opened: instance_id=${instanceId} token=${token}`);
    return { instanceId, token, fault };
  }

  /** The stream ended: the newest session of an instance takes the instance with it. */
  async endSession({ instanceId, token, fault }: SessionHandle): Promise<void> {
    const { clock, log, registry } = this.#dependencies;
    const name = `instance_id=${instanceId} token=${token}`;
    if (!this.#sessions.take(instanceId, token)) {
      log.debug({ instance: instanceId }, `Session closed: ${name} superseded — skip cleanup`);
      return;
    }
    log.info({ instance: instanceId }, `Session closed: ${name} — running cleanup`);
    const dropped = await registry.dropInstance(instanceId);
    log.info(
      { instance: instanceId },
      `Session cleanup (stream closed): dropped ${dropped} CUDA tensors for instance ${instanceId}`,
    );
    if (fault.betweenStepsMs !== undefined) await sleep(clock, fault.betweenStepsMs);
    if (!this.#removeInstance(instanceId)) log.debug({ instance: instanceId }, `instance ${instanceId} not found`);
  }

  /** Forgets one instance. `null` when neither store had it. */
  async cleanupInstance(instanceId: string): Promise<Cleanup | null> {
    const removedTensors = await this.#dependencies.registry.dropInstance(instanceId);
    const isRemoved = this.#removeInstance(instanceId);
    if (!isRemoved && removedTensors === 0) return null;
    return { removedInstances: isRemoved ? [instanceId] : [], removedTensors };
  }

  async cleanupAll(): Promise<Cleanup> {
    const { instances, leases, registry } = this.#dependencies;
    const removedTensors = await registry.dropAll();
    const removedInstances = instances.ids;
    for (const instanceId of removedInstances) instances.remove(instanceId);
    leases.dropAll();
    return { removedInstances, removedTensors };
  }

  #removeInstance(instanceId: string): boolean {
    this.#dependencies.leases.dropInstance(instanceId);
    return this.#dependencies.instances.remove(instanceId);
  }

  #openQueues(deviceId: number): CopyQueues {
    const { clock, faults, startCopyThread } = this.#dependencies;
    const pace = () => this.#pace();
    const landsAfterMs = () => faults.switches.copyLandsAfterMs ?? 0;
    let loadThread: Disposable | undefined;
    try {
      loadThread = startCopyThread(`gpu${deviceId}-load`);
      const saveThread = startCopyThread(`gpu${deviceId}-save`);
      return {
        saveQueue: new CopyQueue({ direction: 'toHost', clock, pace, landsAfterMs: () => 0, thread: saveThread }),
        loadQueue: new CopyQueue({ direction: 'toDevice', clock, pace, landsAfterMs, thread: loadThread }),
      };
    } catch (error) {
      loadThread?.[Symbol.dispose]();
      throw cudaInitFailed(messageOf(error));
    }
  }

  /** Holds up the registration thread while the method hangs. */
  #gate(method: RpcMethod, fault: MethodFault): () => Promise<void> {
    return async () => {
      if (fault.hang === true) await this.#dependencies.faults.untilLifted(method);
    };
  }

  async #betweenSteps({ fault, signal }: Call): Promise<void> {
    if (fault.betweenStepsMs === undefined) return;
    await untilAborted(sleep(this.#dependencies.clock, fault.betweenStepsMs), signal);
  }

  async #pace(): Promise<void> {
    const { clock, faults } = this.#dependencies;
    const isThawAskedFor = () => faults.switches.copyAfterThaw === true;
    if (isThawAskedFor()) await untilThawed(clock, isThawAskedFor);
    const delayMs = faults.switches.copyDelayMs ?? 0;
    if (delayMs > 0) await sleep(clock, delayMs);
  }
}
