import { randomBytes } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { type Budgets, type Fault, faultFrom, isDenial } from '../../../machines/index.ts';
import { SaveLayerSchema, type SaveRequest, SaveRequestSchema } from '../../gen/pegaflow/engine_pb.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { ServerLink } from '../../rpc/connection.ts';
import { type KvCacheLayer, layerNamesOf } from '../kv-caches.ts';
import type { SaveIntent } from '../metadata.ts';
import { Transfer, type TransferEvents } from './transfer.ts';

const MARKER_HASH_BYTES = 32;

export interface SaveSource {
  readonly instanceId: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly deviceId: number;
  readonly layers: readonly KvCacheLayer[];
}

/** Of one rank at one server: more would queue there, where nobody can take them back. */
export const SAVES_IN_FLIGHT_MAX = 4;

/** One Save that the server has not answered. */
interface OpenCall {
  readonly transfer: Transfer;
  readonly takeBack: () => void;
}

interface UnsentSave {
  readonly server: ServerLink;
  readonly requestId: string;
  readonly send: () => void;
  readonly giveUp: (fault: Fault) => void;
  readonly cancelWait: () => void;
}

/**
 * Saves under way. The server reads the blocks until it answers. At most {@link SAVES_IN_FLIGHT_MAX} are sent; the rest wait
 * here, and are given up, their blocks free, as soon as nobody wants them any more, or none of those that were sent is answered
 * for long. A call whose blocks were handed back meanwhile is taken back when its place is wanted: of a cancelled Save the
 * server keeps nothing.
 */
export class Saves {
  #budgets: Budgets;
  #transfers = new Set<Transfer>();
  /** Also those of transfers that are over without an answer. */
  #calls = new WeakMap<ServerLink, Set<OpenCall>>();
  #unsent: UnsentSave[] = [];

  constructor(budgets: Budgets) {
    this.#budgets = budgets;
  }

  start(server: ServerLink, source: SaveSource, intent: SaveIntent, events: TransferEvents): void {
    const send = () => this.#send(server, source, intent, events);
    if (this.#hasRoomAt(server)) send();
    else this.#queue(server, send, intent, events);
  }

  /** Why none can be sent, nor is worth waiting, or `null`. */
  obstacleAt(server: ServerLink): Fault | null {
    if (this.#hasRoomAt(server) || ![...this.#callsAt(server)].every(({ transfer }) => transfer.isInDoubt)) return null;
    const { transferStalledAfterMs } = this.#budgets;
    const message = `not sent: none of the saves under way was answered in ${transferStalledAfterMs} ms: the server's copies hang`;
    return { kind: 'timedOut', message };
  }

  /** Gives up what has not been sent, of these requests or of all: the server knows nothing of it. */
  withdraw(fault: Fault, requestIds?: ReadonlySet<string>): void {
    this.#giveUp(fault, ({ requestId }) => requestIds?.has(requestId) ?? true);
  }

  #giveUp(fault: Fault, isUnwanted: (unsent: UnsentSave) => boolean): void {
    const unwanted = this.#unsent.filter(isUnwanted);
    this.#unsent = this.#unsent.filter((unsent) => !unwanted.includes(unsent));
    for (const { cancelWait, giveUp } of unwanted) {
      cancelWait();
      giveUp(fault);
    }
  }

  #queue(server: ServerLink, send: () => void, { requestId, blockIds }: SaveIntent, events: TransferEvents): void {
    const sinceMs = performance.now();
    const giveUp = (fault: Fault) => {
      const subject = { kind: 'save', requestId, blockIds } as const;
      events.ended({ kind: 'failed', by: 'answer', fault }, subject, performance.now() - sinceMs);
    };
    const cancelWait = ioFirstTimer(this.#budgets.saveWaitTimeoutMs, () => {
      this.#unsent = this.#unsent.filter((other) => other !== unsent);
      giveUp({ kind: 'timedOut', message: 'not sent: the saves before it are not answered' });
    });
    const unsent = { server, requestId, send, giveUp, cancelWait };
    this.#unsent.push(unsent);
  }

  #sendNext(server: ServerLink): void {
    const next = this.#unsent.find((unsent) => unsent.server === server);
    if (!next || !this.#hasRoomAt(server)) return;
    this.#unsent = this.#unsent.filter((unsent) => unsent !== next);
    next.cancelWait();
    next.send();
  }

  #hasRoomAt(server: ServerLink): boolean {
    const calls = this.#callsAt(server);
    return calls.size < limitAt(server) || [...calls].some(({ transfer }) => transfer.isOver);
  }

  #callsAt(server: ServerLink): Set<OpenCall> {
    const calls = this.#calls.get(server) ?? new Set();
    this.#calls.set(server, calls);
    return calls;
  }

  #open(server: ServerLink, call: OpenCall): void {
    const calls = this.#callsAt(server);
    const unwanted = [...calls].find(({ transfer }) => transfer.isOver);
    if (calls.size >= limitAt(server) && unwanted !== undefined) {
      calls.delete(unwanted);
      unwanted.takeBack();
    }
    calls.add(call);
  }

  #answered(server: ServerLink, call: OpenCall, tell: () => void): void {
    this.#callsAt(server).delete(call);
    tell();
    this.#sendNext(server);
  }

  #stalled(server: ServerLink): void {
    const obstacle = this.obstacleAt(server);
    if (obstacle !== null) this.#giveUp(obstacle, (unsent) => unsent.server === server);
  }

  #send(
    server: ServerLink,
    { layers, ...rank }: SaveSource,
    { requestId, groupId, blockIds, blockHashes }: SaveIntent,
    events: TransferEvents,
  ): void {
    const release = () => {
      this.#transfers.delete(transfer);
      this.#sendNext(server);
    };
    const doubted = () => {
      events.doubted();
      this.#stalled(server);
    };
    const subject = { kind: 'save', requestId, blockIds } as const;
    const transfer = new Transfer(subject, server, this.#budgets, { ...events, doubted }, release);
    this.#transfers.add(transfer);
    const takenBack = new AbortController();
    const call = { transfer, takeBack: () => takenBack.abort() };
    this.#open(server, call);
    const request = saveRequest(rank, layerNamesOf(layers, groupId), blockIds, blockHashes);
    server
      .call((client) => client.save(request, { signal: takenBack.signal }))
      .then(
        () => this.#answered(server, call, () => transfer.succeed('answer')),
        (error) => this.#answered(server, call, () => transfer.rpcFailed(error)),
      );
  }

  /**
   * One block of one layer under a hash that nobody asks for: its answer comes after everything that the server's queue of saves
   * holds now. A registration that is gone has none. Anything else, such as a full pool, is no answer to the question. With
   * the signal it is taken back: of a cancelled Save the server keeps nothing.
   */
  async follow(server: ServerLink, { layers, ...rank }: SaveSource, signal: AbortSignal): Promise<boolean> {
    const [layer] = layers;
    if (layer === undefined) return false;
    const request = saveRequest(rank, [layer.name], [0], [randomBytes(MARKER_HASH_BYTES)]);
    try {
      await server.call((client) => client.save(request, { signal }));
      return true;
    } catch (error) {
      return isDenial(faultFrom(error));
    }
  }

  get transfers(): Transfer[] {
    return [...this.#transfers];
  }
}

/** The rest of what the peer's stream limit allows is for other calls. */
function limitAt({ link }: ServerLink): number {
  return Math.min(SAVES_IN_FLIGHT_MAX, link.streams.ordinaryLimit);
}

/** All layers share one list of ids and one of hashes: a list a layer would be made element by element. */
function saveRequest(
  rank: Omit<SaveSource, 'layers'>,
  layerNames: readonly string[],
  blockIds: readonly number[],
  blockHashes: readonly Uint8Array[],
): SaveRequest {
  const shared = { blockIds: [...blockIds], blockHashes: [...blockHashes] as Uint8Array<ArrayBuffer>[] };
  const saves = layerNames.map((layerName) => Object.assign(create(SaveLayerSchema, { layerName }), shared));
  return create(SaveRequestSchema, { ...rank, saves });
}
