import type { FinishedTransfers, LoadIntent, SaveIntent } from './metadata.ts';

interface Entry {
  /** The load that the workers were or will be told of and that has not ended on every rank. */
  load: LoadIntent | null;
  hasSaves: boolean;
  isFinished: boolean;
  awaitsLoad: boolean;
  awaitsSaves: boolean;
}

/**
 * Which requests have transfers on the ranks, so that the blocks of a finished request are held exactly as long as
 * something may touch them and its end is told exactly once.
 */
export class RequestLedger {
  #entries = new Map<string, Entry>();
  #loads: LoadIntent[] = [];
  #saves: SaveIntent[] = [];

  scheduleLoad(load: LoadIntent): void {
    this.#entryOf(load.requestId).load = load;
    this.#loads.push(load);
  }

  scheduleSave(save: SaveIntent): void {
    this.#entryOf(save.requestId).hasSaves = true;
    this.#saves.push(save);
  }

  /** What was scheduled since the last call. */
  drain(): { loads: readonly LoadIntent[]; saves: readonly SaveIntent[] } {
    const drained = { loads: this.#loads, saves: this.#saves };
    this.#loads = [];
    this.#saves = [];
    return drained;
  }

  /** A load that no worker has heard of yet is withdrawn and returned. */
  withdrawLoad(requestId: string): LoadIntent | undefined {
    const index = this.#loads.findIndex((load) => load.requestId === requestId);
    if (index < 0) return undefined;
    const [load] = this.#loads.splice(index, 1);
    this.#entryOf(requestId).load = null;
    return load;
  }

  /** Whether the blocks of this finished request must be held until it comes back from {@link settle}. */
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
  settle(ended: FinishedTransfers): { finished: FinishedTransfers; loads: readonly LoadIntent[] } {
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
      if (!entry.awaitsLoad) this.#tell(requestId, saved);
    }
    return { finished: { loaded, saved }, loads };
  }

  #tell(requestId: string, set: string[]): void {
    this.#entries.delete(requestId);
    set.push(requestId);
  }

  #entryOf(requestId: string): Entry {
    const held = this.#entries.get(requestId);
    if (held) return held;
    const entry = { load: null, hasSaves: false, isFinished: false, awaitsLoad: false, awaitsSaves: false };
    this.#entries.set(requestId, entry);
    return entry;
  }
}
