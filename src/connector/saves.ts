import { create } from '@bufbuild/protobuf';
import type { Budgets } from '../../machines/index.ts';
import { SaveLayerSchema, type SaveRequest, SaveRequestSchema } from '../gen/pegaflow/engine_pb.ts';
import type { ServerLink } from '../rpc/connection.ts';
import { type KvCacheLayer, layerNamesOf } from './kv-caches.ts';
import type { SaveIntent } from './metadata.ts';
import { Transfer, type TransferEvents } from './transfer.ts';

export interface SaveSource {
  readonly instanceId: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly deviceId: number;
  readonly layers: readonly KvCacheLayer[];
}

/** Saves under way. The server reads the blocks until it answers. */
export class Saves {
  #budgets: Budgets;
  #transfers = new Set<Transfer>();

  constructor(budgets: Budgets) {
    this.#budgets = budgets;
  }

  start(
    server: ServerLink,
    { layers, ...rank }: SaveSource,
    { requestId, groupId, blockIds, blockHashes }: SaveIntent,
    events: TransferEvents,
  ): void {
    const release = () => this.#transfers.delete(transfer);
    const subject = { kind: 'save', requestId, blockIds } as const;
    const transfer = new Transfer(subject, server, this.#budgets, events, release);
    this.#transfers.add(transfer);
    server
      .call((client) => client.save(saveRequest(rank, layerNamesOf(layers, groupId), blockIds, blockHashes)))
      .then(
        () => transfer.succeed('answer'),
        (error) => transfer.rpcFailed(error),
      );
  }

  get transfers(): Transfer[] {
    return [...this.#transfers];
  }
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
