import type { Budgets } from '../../../machines/index.ts';
import { LoadState } from '../../../native-bindings/index.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { ServerLink } from '../../rpc/connection.ts';
import { type KvCacheLayer, layerNamesOf } from '../kv-caches.ts';
import type { LeasedBlocks, LoadIntent } from '../metadata.ts';
import { Transfer, type TransferEvents } from './transfer.ts';

export interface LoadTarget {
  readonly instanceId: string;
  readonly tpRank: number;
  readonly deviceId: number;
  readonly layers: readonly KvCacheLayer[];
}

interface Flight {
  readonly transfer: Transfer;
  readonly record: LoadState;
  readonly refuted: TransferEvents['refuted'];
  /** The how manieth load of this rank it is. */
  readonly number: number;
  /** Of the load that was sent last when the server had taken this one. `null`: it has not. */
  acceptedAt: number | null;
  cancelSettling: (() => void) | undefined;
}

/**
 * Loads under way. A load is accepted by RPC and ends in its shared-memory record, which stays the only truth while the
 * server lives: also after the link is gone.
 */
export class Loads {
  #budgets: Budgets;
  #flights = new Set<Flight>();
  #sent = 0;
  #pollTimer: NodeJS.Timeout | undefined;

  constructor(budgets: Budgets) {
    this.#budgets = budgets;
  }

  /** Throws where no record can be made; then nothing was sent. */
  start(server: ServerLink, target: LoadTarget, intent: LoadIntent, events: TransferEvents): void {
    const record = LoadState.create();
    const release = () => {
      flight.cancelSettling?.();
      record[Symbol.dispose]();
      this.#flights.delete(flight);
    };
    const { requestId } = intent;
    const subject = { kind: 'load', requestId, blockIds: destinationsOf(intent) } as const;
    const takenBack = new AbortController();
    const ended: TransferEvents['ended'] = (outcome, ...rest) => {
      // A call that the server may never answer would keep its stream.
      if (outcome.by === 'threadsGone' || outcome.by === 'unsafeRelease') takenBack.abort();
      if (outcome.by === 'record' && outcome.kind === 'succeeded') events.overtook(this.#acceptedBefore(flight));
      events.ended(outcome, ...rest);
    };
    const transfer = new Transfer(subject, server, this.#budgets, { ...events, ended }, release);
    this.#sent += 1;
    const flight: Flight = {
      transfer,
      record,
      refuted: events.refuted,
      number: this.#sent,
      acceptedAt: null,
      cancelSettling: undefined,
    };
    this.#flights.add(flight);
    this.#pollTimer ??= setTimeout(this.#poll, this.#budgets.loadPollIntervalMs);
    const { layers, ...rank } = target;
    const request = {
      ...rank,
      loadStateShm: record.name,
      groups: intent.leases.map(({ groupId }) => ({ layerNames: layerNamesOf(layers, groupId) })),
      loads: intent.leases.map((leased) => leaseLoadOf(leased, intent.leases)),
    };
    server
      .call((client) => client.load(request, { signal: takenBack.signal }))
      .then(
        () => {
          flight.acceptedAt = this.#sent;
        },
        (error) => transfer.rpcFailed(error),
      );
  }

  get transfers(): Transfer[] {
    return [...this.#flights].map(({ transfer }) => transfer);
  }

  isAccepted(transfer: Transfer): boolean {
    return (this.#flightOf(transfer)?.acceptedAt ?? null) !== null;
  }

  /**
   * The server copies no more for it. One that succeeded says so in its record; the others wait for the settling time: a task
   * that fails at once returns without waiting for the copies that it had queued.
   */
  proveOver(transfer: Transfer): void {
    const flight = this.#flightOf(transfer);
    if (flight === undefined) return;
    this.#look(flight);
    if (!this.#flights.has(flight)) return;
    const fault = { kind: 'unreachable', message: 'the registration that it belonged to is gone' } as const;
    flight.cancelSettling ??= ioFirstTimer(this.#budgets.settleMs, () => {
      if (flight.record.state() > 0) transfer.succeed('record');
      else transfer.fail(fault, 'threadsGone');
    });
  }

  /** Those that the server had taken before this one was sent. */
  #acceptedBefore({ number }: Flight): Transfer[] {
    const earlier = [...this.#flights].filter(({ acceptedAt }) => acceptedAt !== null && acceptedAt < number);
    return earlier.map(({ transfer }) => transfer);
  }

  #flightOf(transfer: Transfer): Flight | undefined {
    return [...this.#flights].find((flight) => flight.transfer === transfer);
  }

  #poll = (): void => {
    try {
      for (const flight of this.#flights) this.#look(flight);
    } finally {
      this.#pollTimer = this.#flights.size > 0 ? setTimeout(this.#poll, this.#budgets.loadPollIntervalMs) : undefined;
    }
  };

  #look(flight: Flight): void {
    const state = flight.record.state();
    if (state > 0) flight.transfer.succeed('record');
    // The server stops at its first error without waiting for the copies it had queued, and a refused RPC also leaves
    // its mark here; its own answer, if one comes in time, says more.
    if (state < 0)
      flight.cancelSettling ??= ioFirstTimer(this.#budgets.settleMs, () => this.#failAfterAcceptance(flight));
  }

  #failAfterAcceptance({ transfer, refuted }: Flight): void {
    const fault = { kind: 'defect', message: 'the server accepted the load and failed to copy' } as const;
    refuted(fault);
    transfer.fail(fault, 'record');
  }
}

/** The blocks that the load writes. */
export function destinationsOf({ leases }: LoadIntent): number[] {
  return leases.flatMap(({ blockIds }) => blockIds.filter((blockId) => blockId !== null));
}

/** One lease, with a target for each of its blocks in each group: in its own where it goes, in the others none. */
function leaseLoadOf(leased: LeasedBlocks, all: readonly LeasedBlocks[]) {
  const { lease, blockIds } = leased;
  const blockIdsByGroup = all.map((group) => ({
    targets: blockIds.map((blockId) => (group === leased && blockId !== null ? targetOf(blockId) : {})),
  }));
  return { lease: lease as Uint8Array<ArrayBuffer>, blockIdsByGroup };
}

function targetOf(value: number) {
  return { target: { case: 'blockId' as const, value } };
}
