import { Code, ConnectError } from '@connectrpc/connect';
import { type Epoch, isSameEpoch } from '../../machines/index.ts';
import type { SaveIntent, UnsafeRelease } from '../../src/connector/index.ts';
import type {
  LoadRequest,
  QueryRequest,
  QueryResponse,
  RegisterContextRequest,
  SaveRequest,
} from '../../src/gen/pegaflow/engine_pb.ts';
import { isServersWord } from '../../src/rpc/fault-from-rpc.ts';
import { BackoffWatch } from './backoff-watch.ts';
import type { Connection } from './connection.ts';
import { GivenLeases } from './given-leases.ts';
import { hearingOf } from './hearing.ts';
import type { Instance, Rank } from './instance.ts';
import type { Kernel } from './kernel.ts';
import { RefusalWatch } from './refusal-watch.ts';
import { isSaveOfNothing, type RemoteCall, witnesses } from './remote-call.ts';
import { RoleWatch } from './role-watch.ts';
import type { SimulatedServer } from './server.ts';
import { Violation } from './violation.ts';
import type { Replica } from './world.ts';

/** What a scheduler heard that allows it to publish. */
interface Hearing {
  sealed: { readonly epoch: Epoch; readonly atMs: number } | null;
  sessionOn: Connection | null;
  wasConnected: boolean;
  leftConnectedMs: number;
  connectedMs: number;
  reRegisteringMs: number;
  clearedMs: number;
  /** In which a rank was told that it is registered, not that it still is. */
  registeredIn: Epoch | null;
  publishedIn: Epoch | null;
  deniedMs: number;
  state: string;
}

/** Milliseconds: this process may stand still for as long when the grace ends. */
const GRACE_SLACK_MS = 1_000;

/** Looks at every RPC and every publication from outside, with nothing but public facts, and reports what may not be. */
export class Inspector {
  #kernel: Kernel;
  #replicas: readonly Replica[];
  #leases = new GivenLeases();
  #refusals: RefusalWatch;
  #roles: RoleWatch;
  #backoffs: BackoffWatch;
  #hearings = new WeakMap<object, Hearing>();
  /** Names of the saves that are under way. */
  #saves = new WeakMap<RemoteCall, string>();
  /** When saves were released unsafely, by their names. */
  #releasedMs = new Map<string, number>();
  /** The newest Register of each rank's process, and the newest Unregister of each scheduler's. */
  #registrations = new Map<string, RemoteCall>();
  /** By rank: epochs that any process of it confirmed. */
  #confirmations = new WeakMap<Instance, Epoch[][]>();

  constructor(kernel: Kernel, replicas: readonly Replica[]) {
    this.#kernel = kernel;
    this.#replicas = replicas;
    this.#refusals = new RefusalWatch(kernel);
    this.#roles = new RoleWatch(kernel);
    this.#backoffs = new BackoffWatch(kernel);
    witnesses.splice(0);
    witnesses.push({
      sent: (call) => this.#sent(call),
      headed: (call) => this.#headed(call),
      heard: (call, outcome) => this.#heard(call, outcome),
    });
  }

  watch({ instance }: Replica): void {
    instance.onStatus = () => {
      this.#judgePublication(instance);
      this.#refusals.schedulerMoved(instance);
    };
    instance.onRankStatus = (rank, status) => {
      this.#refusals.rankMoved(rank, instance.shape.budgets, status);
      this.#backoffs.rankMoved(rank, instance.shape.budgets, status.path);
    };
  }

  /**
   * What has to be true at the end of a long time without requests and faults. A lease whose release was lost in a fault
   * may still be held, so only those that were given since `sinceMs` count, while the scheduler never left `connected`.
   */
  judgeQuiet({ instance: { scheduler, shape } }: Replica, server: SimulatedServer, sinceMs: number): void {
    const { state, epoch } = scheduler.status;
    if (state !== 'connected' || epoch === null) return;
    if (!server.engine.instanceIds.includes(shape.instanceId)) {
      this.#kernel.report(new Violation(7, `${shape.instanceId} is connected and ${server.process.name} forgot it`));
    }
    const held = this.#leases.takeHeld(server, epoch, sinceMs);
    if (held > 0) this.#kernel.report(new Violation('L', `${shape.instanceId} asks for nothing and holds ${held}`));
  }

  /** By a budget of the rank, now. */
  releasedUnsafely(rank: Rank, { kind, requestId }: UnsafeRelease): void {
    if (kind === 'save') this.#releasedMs.set(saveName(rank, requestId), this.#kernel.loop.nowMs);
  }

  #sent(call: RemoteCall): void {
    const instance = this.#instanceOf(call);
    if (instance === null) return;
    if (changesRegistration(call)) this.#expectNoOther(call);
    switch (call.method) {
      case 'queryPrefetch':
        this.#querySent(call, instance);
        return;
      case 'load':
        this.#loadSent(call, instance);
        return;
      case 'save':
        this.#saveSent(call, instance);
        return;
      case 'unregisterContext':
        this.#clearSent(call, instance);
        return;
      case 'registerContextBatch':
        call.note = this.#rankOf(instance, call)?.worker.takeReport().epoch ?? null;
        return;
    }
  }

  /** A second one overtakes the first, and half an instance is left. */
  #expectNoOther(call: RemoteCall): void {
    const { deviceId = 0 } = call.request as Partial<RegisterContextRequest>;
    const { name, pid } = call.connection.client;
    const key = `${pid} ${call.method} ${deviceId}`;
    const isOther = this.#registrations.get(key)?.isOver === false;
    this.#registrations.set(key, call);
    if (isOther) this.#kernel.report(new Violation('U', `${name} sends a second ${call.method}`));
  }

  #querySent(call: RemoteCall, instance: Instance): void {
    const { state, epoch } = instance.scheduler.status;
    call.note = epoch;
    if ((call.request as QueryRequest).reqId === 'probe') return;
    this.#expectEnd(call, instance);
    if (call.hasWaited) return;
    if (state !== 'connected') this.#kernel.report(new Violation(1, `a query was sent while ${state}`));
    const absent = instance.ranks.find((rank) => this.#absentMs(instance, rank) > GRACE_SLACK_MS);
    if (absent !== undefined) {
      this.#kernel.report(new Violation(6, `a query was sent although rank ${absent.index} has not served for long`));
    }
  }

  /** Nobody waits longer than that, not even for a lease to give back. */
  #expectEnd(call: RemoteCall, { shape: { budgets } }: Instance): void {
    const { loop } = this.#kernel;
    const { client } = call.connection;
    const look = () => {
      if (!call.isOver) this.#kernel.report(new Violation('W', 'a query that nobody waits for is never withdrawn'));
    };
    // One after the other, as its process counts them, which may stand still meanwhile.
    const waits = [budgets.queryTimeoutMs, budgets.abandonedQueryTimeoutMs, 0];
    const next = () => {
      const waitMs = waits.shift();
      if (waitMs === undefined) look();
      else loop.schedule(client, waitMs + GRACE_SLACK_MS, 'io', next);
    };
    next();
  }

  /** For how long beyond its grace a rank has said that it does not serve while the scheduler was in service. */
  #absentMs(instance: Instance, rank: Rank): number {
    const sinceMs = hearingOf(instance.scheduler).absentSinceMs(rank);
    if (sinceMs === null) return 0;
    const { connectedMs } = this.#hearingOf(instance);
    return this.#kernel.loop.nowMs - Math.max(sinceMs, connectedMs) - instance.shape.budgets.rankGraceMs;
  }

  /** Before its bound the barrier of a clear is passed only on answers to it: then no rank serves any more. */
  #clearSent({ connection }: RemoteCall, instance: Instance): void {
    const { state } = instance.scheduler.status;
    const { reRegisteringMs, deniedMs } = this.#hearingOf(instance);
    // Its timer fires at the bound, but for the last bits of the sum.
    const isInTime = this.#kernel.loop.nowMs - reRegisteringMs < instance.shape.budgets.quiesceTimeoutMs - 1;
    // What the server has nothing of cannot be unmapped under a copy, nor by one that is dead.
    const { server } = connection;
    // Nor under one where a rank's memory is not mapped: the instance is not sealed there, and copies nothing.
    const isWhole = instance.ranks.every(({ memories }) => memories.some(({ mappedBy }) => mappedBy.has(server!)));
    const isHarmless = deniedMs >= reRegisteringMs || server?.isDead === true || !isWhole;
    if (state !== 'reRegistering' || !isInTime || isHarmless) return;
    const isLinked = ({ process }: Rank) =>
      [...this.#kernel.connections].some(
        ({ client, server, isOpenAtClient }) => client === process && server === connection.server && isOpenAtClient,
      );
    const isHeard = (rank: Rank) => hearingOf(instance.scheduler).newestMadeMs(rank) > 0;
    const serving = instance.ranks.find((rank) => isHeard(rank) && rank.worker.takeReport().serves && isLinked(rank));
    if (serving !== undefined) {
      this.#kernel.report(new Violation(5, `the instance is cleared while rank ${serving.index} serves`));
    }
  }

  #loadSent(call: RemoteCall, instance: Instance): void {
    if (call.hasWaited) return;
    const { worker } = this.#rankOf(instance, call)!;
    const { epoch, state } = worker.status;
    for (const { lease } of (call.request as LoadRequest).loads) {
      const given = this.#leases.epochOf(lease);
      if (given !== undefined && epoch !== null && isSameEpoch(given, epoch) && state === 'connected') continue;
      this.#kernel.report(
        new Violation(3, `a load with a lease of epoch ${given?.counter} was sent in ${state} ${epoch?.counter}`),
      );
    }
  }

  #saveSent(call: RemoteCall, instance: Instance): void {
    const rank = this.#rankOf(instance, call)!;
    const { state } = rank.worker.status;
    const { epoch } = rank.worker.takeReport();
    call.note = epoch;
    const request = call.request as SaveRequest;
    if (isSaveOfNothing(request)) return;
    const save = rank.handedSaves.findLast((handed) => isSaveOf(handed, request));
    if (save === undefined) {
      this.#markerSent(request, instance, rank);
      return;
    }
    const given = save.epoch;
    this.#saves.set(call, saveName(rank, save.requestId));
    if (call.hasWaited) return;
    if (epoch !== null && isSameEpoch(given, epoch) && state === 'connected') return;
    this.#kernel.report(new Violation(3, `a save of epoch ${given.counter} was sent in ${state} ${epoch?.counter}`));
  }

  /** A rank asks whether the queue of saves has moved on: one block under a hash that nobody knows. */
  #markerSent({ saves }: SaveRequest, instance: Instance, { index }: Rank): void {
    const blockIds = saves.flatMap((layer) => layer.blockIds);
    if (blockIds.length === 1) instance.onMarker(index, blockIds[0]!);
    else this.#kernel.report(new Violation(3, `rank ${index} saves ${blockIds.length} blocks that nobody gave it`));
  }

  #headed(call: RemoteCall): void {
    const instance = this.#instanceOf(call);
    if (instance !== null) this.#hearingOf(instance).sessionOn = call.connection;
  }

  #heard(call: RemoteCall, outcome: unknown): void {
    const instance = this.#instanceOf(call);
    if (instance !== null && changesRegistration(call)) this.#expectNotCancelled(call, outcome);
    if (instance !== null && call.method === 'unregisterContext') {
      this.#hearingOf(instance).clearedMs = this.#kernel.loop.nowMs;
    }
    const epoch = call.note as Epoch | null;
    if (instance === null || epoch === null) return;
    const isOk = !(outcome instanceof Error);
    if (call.method === 'registerContextBatch') this.#registered(call, instance, outcome);
    const save = this.#saves.get(call);
    const rankOfSave = save === undefined ? null : this.#rankOf(instance, call);
    if (rankOfSave !== null && outcome instanceof ConnectError)
      this.#refusals.saveRefused(instance, rankOfSave, outcome);
    // Within one instant only what arrived while the process stood still comes after a timer.
    if (isOk && save !== undefined && this.#releasedMs.get(save) === this.#kernel.loop.nowMs) {
      this.#kernel.report(new Violation('V', `${save} was given up although its answer was there`));
    }
    if (call.method === 'queryPrefetch') {
      const isSealed = outcome instanceof Error && /storage group \d+ out of range/.test(outcome.message);
      const hearing = this.#hearingOf(instance);
      if (outcome instanceof Error && /not found/.test(outcome.message)) hearing.deniedMs = this.#kernel.loop.nowMs;
      if (isSealed) hearing.sealed = { epoch, atMs: this.#kernel.loop.nowMs };
      const answer = isOk ? (outcome as QueryResponse).outcome : null;
      if (answer?.case === 'ready') this.#leases.add(answer.value.lease, epoch, this.#kernel.loop.nowMs);
    }
    const isConfirmation =
      isOk &&
      (call.method === 'registerContextBatch' ||
        (call.method === 'save' && isSaveOfNothing(call.request as SaveRequest)));
    const rank = isConfirmation ? this.#rankOf(instance, call) : null;
    if (rank === null) return;
    if (call.method === 'registerContextBatch') this.#hearingOf(instance).registeredIn = epoch;
    rank.confirmed.push(epoch);
    this.#confirmedIn(instance, rank.index).push(epoch);
  }

  #expectNotCancelled({ connection, method }: RemoteCall, outcome: unknown): void {
    if (!(outcome instanceof ConnectError) || isServersWord(outcome) || !connection.isOpenAtClient) return;
    if (outcome.code !== Code.Canceled && outcome.code !== Code.DeadlineExceeded) return;
    this.#kernel.report(new Violation('U', `${connection.client.name} cancels ${method} while its link lives`));
  }

  /** Taken, or refused for what is registered there already. What did not reach it, and what a fault refused, says nothing. */
  #registered(call: RemoteCall, instance: Instance, outcome: unknown): void {
    const rank = this.#rankOf(instance, call);
    const { sessionOn } = this.#hearingOf(instance);
    if (rank === null || sessionOn === null) return;
    if (outcome instanceof Error && !/already registered/.test(outcome.message)) return;
    this.#roles.registered(rank, call.connection, sessionOn);
  }

  #confirmedIn(instance: Instance, index: number): Epoch[] {
    const byRank = this.#confirmations.get(instance) ?? [];
    this.#confirmations.set(instance, byRank);
    byRank[index] ??= [];
    return byRank[index];
  }

  #judgePublication(instance: Instance): void {
    const { state, epoch } = instance.scheduler.status;
    const hearing = this.#hearingOf(instance);
    if (state === 'reRegistering' && hearing.state !== state) hearing.reRegisteringMs = this.#kernel.loop.nowMs;
    hearing.state = state;
    const isPublished = state === 'connected' && !hearing.wasConnected;
    if (isPublished) hearing.connectedMs = this.#kernel.loop.nowMs;
    if (hearing.wasConnected && state !== 'connected') hearing.leftConnectedMs = this.#kernel.loop.nowMs;
    hearing.wasConnected = state === 'connected';
    if (!isPublished || epoch === null) return;
    const reason = this.#whyNot(instance, hearing, epoch);
    hearing.publishedIn = epoch;
    if (reason !== null) this.#kernel.report(new Violation(6, `epoch ${epoch.counter} is published: ${reason}`));
  }

  #whyNot(instance: Instance, hearing: Hearing, epoch: Epoch): string | null {
    const { sealed, sessionOn, leftConnectedMs, clearedMs, registeredIn, publishedIn } = hearing;
    if (sealed === null || !isSameEpoch(sealed.epoch, epoch)) return 'the server did not say sealed in it';
    if (sealed.atMs < leftConnectedMs) return 'the server has not said sealed since the last doubt';
    if (sessionOn === null) return 'no session is open';
    const isAgain = publishedIn !== null && isSameEpoch(publishedIn, epoch);
    const isRegistered = registeredIn !== null && isSameEpoch(registeredIn, epoch);
    if (!isAgain && isRegistered && clearedMs < leftConnectedMs) return 'what was registered before was not cleared';
    const isIn = (epochs: readonly Epoch[]) => epochs.some((one) => isSameEpoch(one, epoch));
    const heard = hearingOf(instance.scheduler);
    // Of a process that has not been heard yet nobody can know; the one before it did confirm.
    const isExcused = (rank: Rank) => heard.newestMadeMs(rank) === 0 && isIn(this.#confirmedIn(instance, rank.index));
    const silent = instance.ranks.find((rank) => !isIn(rank.confirmed) && !isExcused(rank));
    if (silent !== undefined) return `the server did not confirm rank ${silent.index} as it is now`;
    const unheard = instance.ranks.find((rank) => heard.newestMadeMs(rank) > 0 && !heard.confirms(rank, epoch));
    return unheard === undefined ? null : `rank ${unheard.index} has not said that it is registered in it`;
  }

  #hearingOf({ scheduler }: Instance): Hearing {
    const held = this.#hearings.get(scheduler);
    if (held !== undefined) return held;
    const fresh: Hearing = {
      sealed: null,
      sessionOn: null,
      wasConnected: false,
      leftConnectedMs: 0,
      connectedMs: 0,
      reRegisteringMs: 0,
      clearedMs: -1,
      registeredIn: null,
      publishedIn: null,
      deniedMs: -1,
      state: '',
    };
    this.#hearings.set(scheduler, fresh);
    return fresh;
  }

  #instanceOf({ connection: { client } }: RemoteCall): Instance | null {
    const replica = this.#replicas.find(({ instance }) => instance.processes.includes(client));
    return replica?.instance ?? null;
  }

  #rankOf({ ranks }: Instance, { connection, request }: RemoteCall): Rank | null {
    const { deviceId } = request as Partial<RegisterContextRequest>;
    const rank = deviceId === undefined ? undefined : ranks[deviceId];
    return rank?.process === connection.client ? rank : null;
  }
}

/** A Register of nothing asks for the version alone. */
const changesRegistration = ({ method, request }: RemoteCall): boolean =>
  method === 'unregisterContext' ||
  (method === 'registerContextBatch' && (request as RegisterContextRequest).layerNames.length > 0);

const saveName = ({ workerBootId, index }: Rank, requestId: string) =>
  `rank ${index} (${workerBootId.slice(0, 4)}): the save of ${requestId}`;

function isSaveOf({ blockIds, blockHashes }: SaveIntent, { saves: [layer] }: SaveRequest): boolean {
  if (layer === undefined || layer.blockIds.length !== blockIds.length) return false;
  const isEqual = (blockId: number, i: number) =>
    blockId === blockIds[i] && Buffer.compare(layer.blockHashes[i]!, blockHashes[i]!) === 0;
  return layer.blockIds.every(isEqual);
}
