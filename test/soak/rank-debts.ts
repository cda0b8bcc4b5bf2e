/** What one rank has been told and has not answered: so that its end ends no request's wait. */
import type { RankEnds, Step } from '../../src/demo/hosts/messages.ts';

export class RankDebts {
  readonly #loads = new Set<string>();
  readonly #computations = new Set<string>();
  /** Requests with saves on the living process, and whether it knows that they have finished. */
  readonly #saves = new Map<string, { isFinished: boolean }>();
  /** Unfinished requests whose saves went down with a process. */
  readonly #orphans = new Set<string>();

  /** The rank was told a step. Returns what nobody is there to answer any more. */
  incur({ metadata, computed, finishedRequestIds }: Step): RankEnds {
    for (const { requestId } of metadata.loads) this.#loads.add(requestId);
    for (const { requestId } of computed) this.#computations.add(requestId);
    for (const { requestId } of metadata.saves) this.#saves.set(requestId, { isFinished: false });
    for (const requestId of finishedRequestIds) {
      const save = this.#saves.get(requestId);
      if (save !== undefined) save.isFinished = true;
    }
    const saved = finishedRequestIds.filter((requestId) => this.#orphans.delete(requestId));
    return { loaded: [], failedLoads: [], computed: [], saved };
  }

  settle({ loaded, saved, computed }: RankEnds): void {
    for (const requestId of loaded) this.#loads.delete(requestId);
    for (const requestId of computed) this.#computations.delete(requestId);
    for (const requestId of saved) this.#saves.delete(requestId);
  }

  /** The process is gone: what it owed has ended, its loads badly. */
  forfeit(): RankEnds {
    const loaded = [...this.#loads];
    const saved = [...this.#saves].flatMap(([requestId, { isFinished }]) => (isFinished ? [requestId] : []));
    for (const requestId of this.#saves.keys()) if (!saved.includes(requestId)) this.#orphans.add(requestId);
    const ends = { loaded, failedLoads: loaded, computed: [...this.#computations], saved };
    this.#loads.clear();
    this.#computations.clear();
    this.#saves.clear();
    return ends;
  }
}
