/** How many times a wait something has to stay away to be forgotten. */
const CALM_WAITS = 4;

/**
 * Lets the first of something through, the next one only after a wait, and so on with twice the wait each time. What stayed
 * away for several waits is forgotten.
 */
export class Spacing {
  #firstMs: number;
  #maxMs: number;
  #waitMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  /** Whether it is let through at `nowMs`, which then counts as the last time. */
  isDue(nowMs: number): boolean {
    const sinceMs = nowMs - this.#lastMs;
    if (sinceMs < this.#waitMs) return false;
    const isCalm = sinceMs >= CALM_WAITS * this.#waitMs;
    this.#waitMs = isCalm ? this.#firstMs : Math.min(this.#maxMs, 2 * this.#waitMs);
    this.#lastMs = nowMs;
    return true;
  }
}
