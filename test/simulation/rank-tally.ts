import type { FinishedTransfers } from '../../src/connector/index.ts';
import { Violation } from './violation.ts';

type Set_ = keyof FinishedTransfers;

/** Joins what single ranks tell: a request's transfers have ended when every rank said so. */
export class RankTally {
  /** Requests whose load failed on any rank. */
  readonly failed = new Set<string>();
  #worldSize: number;
  #told = new Map<string, Set<number>>();
  /** What processes that were replaced have told: those in their place may tell it again. */
  #toldBefore = new Set<string>();
  #complete: { set: Set_; requestId: string }[] = [];

  constructor(worldSize: number) {
    this.#worldSize = worldSize;
  }

  /** Throws where a rank tells the same twice. */
  tell(set: Set_, requestId: string, rank: number): void {
    const key = `${set} ${requestId}`;
    const ranks = this.#told.get(key) ?? new Set();
    if (ranks.has(rank) && !this.#toldBefore.has(`${rank} ${key}`)) {
      throw new Violation(4, `rank ${rank} told "${key}" twice`);
    }
    this.#toldBefore.delete(`${rank} ${key}`);
    this.#told.set(key, ranks.add(rank));
    if (ranks.size < this.#worldSize) return;
    this.#told.delete(key);
    this.#complete.push({ set, requestId });
  }

  /** Another process is this rank now. */
  replaced(rank: number): void {
    for (const [key, ranks] of this.#told) if (ranks.has(rank)) this.#toldBefore.add(`${rank} ${key}`);
  }

  /** What is complete since the last call. */
  take(): FinishedTransfers {
    const complete = this.#complete.splice(0);
    const of = (wanted: Set_) => complete.filter(({ set }) => set === wanted).map(({ requestId }) => requestId);
    return { loaded: of('loaded'), saved: of('saved') };
  }
}
