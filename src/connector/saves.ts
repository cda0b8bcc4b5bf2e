import type { Budgets } from '../../machines/index.ts';
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
    const transfer = new Transfer(subject, server, this.#budgets.transferTimeoutMs, events, release);
    this.#transfers.add(transfer);
    const saves = layerNamesOf(layers, groupId).map((layerName) => ({
      layerName,
      blockIds: [...blockIds],
      blockHashes: blockHashes as Uint8Array<ArrayBuffer>[],
    }));
    server
      .call((client) => client.save({ ...rank, saves }))
      .then(
        () => transfer.succeed('answer'),
        (error) => transfer.rpcFailed(error),
      );
  }

  get transfers(): Transfer[] {
    return [...this.#transfers];
  }
}
