import { stateOf } from '../../../machines/index.ts';
import type { Transition } from '../record.ts';

/** What is repeated sooner than this is told once. */
const SHORTEST_GAP_MS = 1_000;

/**
 * Thins out what a machine repeats while it stays in one top-level state: a dial every few milliseconds would push all
 * that is worth knowing out of a bounded history. A repeat is told when the visit of that state has doubled its age.
 */
export class StepThinning {
  #visited = '';
  #sinceMs = 0;
  #toldAtMs = new Map<string, number>();
  #held: Transition | null = null;

  /** What to tell of this transition: it and, so that the steps join, the one before where that was held back; or nothing. */
  thinned(transition: Transition): readonly Transition[] {
    const { from, to, event, evidence, atMs } = transition;
    const entered = stateOf(to);
    if (entered !== this.#visited) {
      this.#visited = entered;
      this.#sinceMs = atMs;
      this.#toldAtMs.clear();
    }
    const key = `${from} ${event} ${to} ${evidence?.message ?? ''}`;
    const toldAtMs = this.#toldAtMs.get(key);
    if (toldAtMs !== undefined && atMs < toldAtMs + Math.max(SHORTEST_GAP_MS, toldAtMs - this.#sinceMs)) {
      this.#held = transition;
      return [];
    }
    const told = this.#held === null ? [transition] : [this.#held, transition];
    this.#held = null;
    this.#toldAtMs.set(key, atMs);
    return told;
  }
}
