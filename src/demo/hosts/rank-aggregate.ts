/** Puts the outputs of all ranks together, as vLLM's `KVOutputAggregator` does: an end counts when every rank said so. */
import type { RankEnds } from './messages.ts';

export interface AggregatedOutput {
  readonly loaded: string[];
  readonly saved: string[];
  /** Loads that failed on at least one rank; no later than their request in `loaded`. */
  readonly failedLoads: string[];
  readonly computed: string[];
}

export class RankAggregate {
  readonly #worldSize: number;
  readonly #counts = { loaded: new Map(), saved: new Map(), computed: new Map() } satisfies Record<
    string,
    Map<string, number>
  >;

  constructor(worldSize: number) {
    this.#worldSize = worldSize;
  }

  /** What this output of one rank completes. */
  add({ loaded, saved, failedLoads, computed }: RankEnds): AggregatedOutput {
    return {
      loaded: this.#completed(this.#counts.loaded, loaded),
      saved: this.#completed(this.#counts.saved, saved),
      failedLoads: [...failedLoads],
      computed: this.#completed(this.#counts.computed, computed),
    };
  }

  #completed(counts: Map<string, number>, requestIds: readonly string[]): string[] {
    return requestIds.filter((requestId) => {
      const count = (counts.get(requestId) ?? 0) + 1;
      if (count < this.#worldSize) counts.set(requestId, count);
      else counts.delete(requestId);
      return count >= this.#worldSize;
    });
  }
}
