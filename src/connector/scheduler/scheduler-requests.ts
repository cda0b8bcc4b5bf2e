import type { InheritedTransfers } from '../../../machines/index.ts';
import type { FinishedTransfers, LoadIntent, SaveIntent } from '../metadata.ts';
import { destinationsOf } from '../transfers/loads.ts';

type Numbered<Intent> = Intent & { readonly transfer: number };

interface Entry {
  /** The load that the workers were or will be told of and that has not ended on every rank. */
  load: Numbered<LoadIntent> | null;
  /** Those that the workers were told of. */
  saves: number[];
  hasSaves: boolean;
  isFinished: boolean;
  awaitsLoad: boolean;
  awaitsSaves: boolean;
}

/**
 * Which requests have transfers on the ranks, so that the blocks of a finished request are held exactly as long as
 * something may touch them and its end is told exactly once. A request id has one life at a time, and in it one load at
 * a time: ranks, and what joins their words, know requests by their ids alone.
 */
export class SchedulerRequests {
  #entries = new Map<string, Entry>();
  #loads: Numbered<LoadIntent>[] = [];
  #saves: Numbered<SaveIntent>[] = [];
  #transfers = 0;

  /** Throws an Error where a load of this request is under way, or blocks of an earlier request by this id are held. */
  checkLoad(requestId: string): void {
    this.#checkLife(requestId);
    if (!this.#entries.get(requestId)?.load) return;
    throw new Error(
      `request ${requestId} has a load under way: another one begins when acceptFinished has returned it`,
    );
  }

  /** Returns the load as the ranks will be told of it. Throws as {@link checkLoad} does. */
  scheduleLoad(load: LoadIntent): LoadIntent {
    this.checkLoad(load.requestId);
    const numbered = { ...load, transfer: this.#nextNumber() };
    this.#entryOf(load.requestId).load = numbered;
    this.#loads.push(numbered);
    return numbered;
  }

  /** The load of this request that has not ended on every rank. */
  loadOf(requestId: string): LoadIntent | null {
    return this.#entries.get(requestId)?.load ?? null;
  }

  /** Throws an Error where blocks of an earlier request by this id are held. */
  scheduleSave(save: SaveIntent): void {
    this.#checkLife(save.requestId);
    this.#entryOf(save.requestId).hasSaves = true;
    this.#saves.push({ ...save, transfer: this.#nextNumber() });
  }

  /** What was scheduled since the last call. */
  drain(): { loads: readonly LoadIntent[]; saves: readonly SaveIntent[] } {
    const drained = { loads: this.#loads, saves: this.#saves };
    for (const { requestId, transfer } of this.#saves) this.#entries.get(requestId)?.saves.push(transfer);
    this.#loads = [];
    this.#saves = [];
    return drained;
  }

  /** What the ranks were told of and have not ended. */
  underWay(): Pick<InheritedTransfers, 'loads' | 'saves'> {
    const waiting = new Set<LoadIntent>(this.#loads);
    const loads = [...this.#entries.values()].flatMap(({ load }) => {
      if (load === null || waiting.has(load)) return [];
      const { requestId, transfer, leases } = load;
      return [{ requestId, transfer, groupIds: leases.map(({ groupId }) => groupId), blockIds: destinationsOf(load) }];
    });
    const saves = [...this.#entries].flatMap(([requestId, { saves: transfers, isFinished }]) =>
      transfers.length === 0 ? [] : [{ requestId, transfers: [...transfers], isFinished }],
    );
    return { loads, saves };
  }

  /** A load that no worker has heard of yet is withdrawn and returned. */
  withdrawLoad(requestId: string): LoadIntent | undefined {
    const index = this.#loads.findIndex((load) => load.requestId === requestId);
    if (index < 0) return undefined;
    const [load] = this.#loads.splice(index, 1);
    this.#entryOf(requestId).load = null;
    return load;
  }

  /** Whether the blocks of this finished request must be held until it comes back from {@link applyEnds}. */
  finish(requestId: string): boolean {
    const entry = this.#entries.get(requestId);
    if (!entry || entry.isFinished) return false;
    entry.isFinished = true;
    entry.awaitsLoad = entry.load !== null;
    entry.awaitsSaves = entry.hasSaves;
    const isHeld = entry.awaitsLoad || entry.awaitsSaves;
    if (!isHeld) this.#entries.delete(requestId);
    return isHeld;
  }

  /**
   * Takes what ended on all ranks and returns what the host shall act on: a running request in `loaded`; a finished
   * one in one of the two sets, once, when the last thing that held its blocks has ended.
   */
  applyEnds(ended: FinishedTransfers): { finished: FinishedTransfers; loads: readonly LoadIntent[] } {
    const loaded: string[] = [];
    const saved: string[] = [];
    const loads: LoadIntent[] = [];
    for (const requestId of ended.loaded) {
      const entry = this.#entries.get(requestId);
      if (!entry?.load) continue;
      loads.push(entry.load);
      entry.load = null;
      if (!entry.isFinished) {
        loaded.push(requestId);
        if (!entry.hasSaves) this.#entries.delete(requestId);
      } else if (entry.awaitsLoad) {
        entry.awaitsLoad = false;
        if (!entry.awaitsSaves) this.#tell(requestId, loaded);
      }
    }
    for (const requestId of ended.saved) {
      const entry = this.#entries.get(requestId);
      if (!entry?.isFinished || !entry.awaitsSaves) continue;
      entry.awaitsSaves = false;
      entry.saves = [];
      if (!entry.awaitsLoad) this.#tell(requestId, saved);
    }
    return { finished: { loaded, saved }, loads };
  }

  #tell(requestId: string, set: string[]): void {
    this.#entries.delete(requestId);
    set.push(requestId);
  }

  #nextNumber(): number {
    this.#transfers += 1;
    return this.#transfers;
  }

  #checkLife(requestId: string): void {
    if (!this.#entries.get(requestId)?.isFinished) return;
    throw new Error(
      `request ${requestId} has finished and its blocks are held: its id is free when acceptFinished has returned it`,
    );
  }

  #entryOf(requestId: string): Entry {
    const held = this.#entries.get(requestId);
    if (held) return held;
    const entry = { load: null, saves: [], hasSaves: false, isFinished: false, awaitsLoad: false, awaitsSaves: false };
    this.#entries.set(requestId, entry);
    return entry;
  }
}
