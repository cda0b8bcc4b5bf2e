import type { FailedLoad, FinishedTransfers } from './metadata.ts';

interface Entry {
  loadsUnderWay: number;
  savesUnderWay: number;
  hasSaves: boolean;
  isFinished: boolean;
}

/**
 * What one rank has to tell about each request: the end of its load as it happens, the end of its saves once the
 * request has finished. Each is told once.
 */
export class TransferLedger {
  #entries = new Map<string, Entry>();
  #underWay = 0;
  #loaded: string[] = [];
  #saved: string[] = [];
  #errors: FailedLoad[] = [];
  #waiters = new Set<{ readonly requestIds: ReadonlySet<string>; readonly resolve: () => void }>();
  #onNews: () => void;

  /** `onNews` is called whenever there is more to take. */
  constructor(onNews: () => void) {
    this.#onNews = onNews;
  }

  /** No load and no save is under way. */
  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  get requestsUnderWay(): string[] {
    return [...this.#entries]
      .filter(([, entry]) => entry.loadsUnderWay + entry.savesUnderWay > 0)
      .map(([requestId]) => requestId);
  }

  beginLoad(requestId: string): void {
    this.#underWay += 1;
    this.#entryOf(requestId).loadsUnderWay += 1;
  }

  /** `error` is set when the load ended badly. */
  endLoad(requestId: string, error: FailedLoad | null): void {
    const entry = this.#entryOf(requestId);
    this.#underWay -= 1;
    entry.loadsUnderWay -= 1;
    if (error) this.#errors.push(error);
    this.#loaded.push(requestId);
    this.#ended(requestId, entry);
  }

  beginSave(requestId: string): void {
    const entry = this.#entryOf(requestId);
    this.#underWay += 1;
    entry.savesUnderWay += 1;
    entry.hasSaves = true;
  }

  endSave(requestId: string): void {
    const entry = this.#entryOf(requestId);
    this.#underWay -= 1;
    entry.savesUnderWay -= 1;
    if (entry.isFinished) this.#tellSavesIfEnded(requestId, entry);
    this.#ended(requestId, entry);
  }

  /** vLLM: `get_finished`. */
  take(finishedRequestIds: readonly string[]): FinishedTransfers {
    for (const requestId of finishedRequestIds) {
      const entry = this.#entries.get(requestId);
      if (!entry || entry.isFinished) continue;
      entry.isFinished = true;
      this.#tellSavesIfEnded(requestId, entry);
      this.#ended(requestId, entry);
    }
    const taken = { loaded: this.#loaded, saved: this.#saved };
    this.#loaded = [];
    this.#saved = [];
    return taken;
  }

  /** vLLM: `get_block_ids_with_load_errors`. */
  takeErrors(): FailedLoad[] {
    const errors = this.#errors;
    this.#errors = [];
    return errors;
  }

  /** Resolves when no transfer of these requests, or with no list of any request, is under way. */
  async settled(requestIds?: readonly string[]): Promise<void> {
    const wanted = new Set(requestIds ?? this.#entries.keys());
    if (!this.#isUnderWay(wanted)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add({ requestIds: wanted, resolve });
    await promise;
  }

  #isUnderWay(requestIds: ReadonlySet<string>): boolean {
    return this.requestsUnderWay.some((requestId) => requestIds.has(requestId));
  }

  #tellSavesIfEnded(requestId: string, entry: Entry): void {
    if (!entry.hasSaves || entry.savesUnderWay > 0) return;
    entry.hasSaves = false;
    this.#saved.push(requestId);
  }

  #ended(requestId: string, entry: Entry): void {
    const isOver = entry.loadsUnderWay + entry.savesUnderWay === 0 && (entry.isFinished || !entry.hasSaves);
    if (isOver) this.#entries.delete(requestId);
    for (const waiter of this.#waiters) {
      if (this.#isUnderWay(waiter.requestIds)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
    this.#onNews();
  }

  #entryOf(requestId: string): Entry {
    const held = this.#entries.get(requestId);
    if (held) return held;
    const entry = { loadsUnderWay: 0, savesUnderWay: 0, hasSaves: false, isFinished: false };
    this.#entries.set(requestId, entry);
    return entry;
  }
}
