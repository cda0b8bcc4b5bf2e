import type { FinishedTransfers } from '../../src/connector/index.ts';
import { Violation } from './violation.ts';

type Set_ = keyof FinishedTransfers;

/** Joins what single ranks tell: a request's transfers have ended when every rank said so, or is gone. */
export class RankTally {
  /** Requests whose load failed on any rank. */
  readonly failed = new Set<string>();
  #worldSize: number;
  #told = new Map<string, Set<number>>();
  #excused = new Map<string, Set<number>>();
  #complete: { set: Set_; requestId: string }[] = [];

  constructor(worldSize: number) {
    this.#worldSize = worldSize;
  }

  /** Throws where a rank tells the same twice. */
  tell(set: Set_, requestId: string, rank: number): void {
    if (this.#excused.get(requestId)?.has(rank)) return;
    const key = `${set} ${requestId}`;
    const ranks = this.#told.get(key) ?? new Set();
    if (ranks.has(rank)) throw new Violation(4, `rank ${rank} told "${key}" twice`);
    this.#told.set(key, ranks.add(rank));
    this.#completeIfAll(set, requestId);
  }

  /** This rank will tell nothing more of these requests. */
  excuse(rank: number, requestIds: readonly string[]): void {
    for (const requestId of requestIds) {
      this.#excused.set(requestId, (this.#excused.get(requestId) ?? new Set()).add(rank));
      this.#completeIfAll('loaded', requestId);
      this.#completeIfAll('saved', requestId);
    }
  }

  /** What is complete since the last call. */
  take(): FinishedTransfers {
    const complete = this.#complete.splice(0);
    const of = (wanted: Set_) => complete.filter(({ set }) => set === wanted).map(({ requestId }) => requestId);
    return { loaded: of('loaded'), saved: of('saved') };
  }

  #completeIfAll(set: Set_, requestId: string): void {
    const key = `${set} ${requestId}`;
    const told = this.#told.get(key);
    const excused = this.#excused.get(requestId);
    for (let rank = 0; rank < this.#worldSize; rank++) if (!told?.has(rank) && !excused?.has(rank)) return;
    this.#told.delete(key);
    this.#complete.push({ set, requestId });
  }
}
