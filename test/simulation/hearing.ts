import {
  type Epoch,
  isSameEpoch,
  MAX_HELD_BLOCKS_SHARE,
  type RankReport,
  type ReportedHeld,
} from '../../machines/index.ts';
import type { SchedulerConnector } from '../../src/connector/index.ts';
import type { Rank } from './instance.ts';

/** What one scheduler was told by ranks, as far as it says which hashes are not to be used. */
class Hearing {
  #names = new Set<string>();
  #newestMadeMs = new Map<string, number>();
  /** By worker process: its newest report, and since when its reports say that it does not serve. */
  #newest = new Map<string, { readonly report: RankReport; readonly absentSinceMs: number | null }>();

  note(report: RankReport, madeMs: number, nowMs: number): void {
    const { workerBootId } = report;
    const held = this.#newest.get(workerBootId);
    if (held === undefined || report.sequence > held.report.sequence) {
      const absentSinceMs = report.serves ? null : (held?.absentSinceMs ?? nowMs);
      this.#newest.set(workerBootId, { report, absentSinceMs });
    }
    for (const name of distrustedIn(report)) this.#names.add(name);
    this.#newestMadeMs.set(workerBootId, Math.max(madeMs, this.#newestMadeMs.get(workerBootId) ?? 0));
  }

  hasHeardOf(name: string): boolean {
    return this.#names.has(name) || this.#names.has('all');
  }

  /** Since when the newest reports of this process say that it does not serve; `null` where they say that it does. */
  absentSinceMs({ workerBootId }: Pick<Rank, 'workerBootId'>): number | null {
    return this.#newest.get(workerBootId)?.absentSinceMs ?? null;
  }

  /** Whether its newest report confirms its registration in that epoch. */
  confirms({ workerBootId }: Pick<Rank, 'workerBootId'>, epoch: Epoch): boolean {
    const report = this.#newest.get(workerBootId)?.report;
    const isConfirmed = report?.outcome === 'registered' || report?.outcome === 'kept';
    return isConfirmed && report.epoch !== null && isSameEpoch(report.epoch, epoch);
  }

  /** What this process holds, by its newest report, where that is as much as may be. */
  heldAtLimit({ workerBootId }: Pick<Rank, 'workerBootId'>): ReportedHeld | null {
    const held = this.#newest.get(workerBootId)?.report.held;
    return held !== undefined && held.blocks >= MAX_HELD_BLOCKS_SHARE * held.ofBlocks ? held : null;
  }

  /** When the newest report of that process was made, in milliseconds; 0 without one. */
  newestMadeMs({ workerBootId }: Pick<Rank, 'workerBootId'>): number {
    return this.#newestMadeMs.get(workerBootId) ?? 0;
  }
}

const hearings = new WeakMap<SchedulerConnector, Hearing>();

export function hearingOf(scheduler: SchedulerConnector): Hearing {
  const held = hearings.get(scheduler) ?? new Hearing();
  hearings.set(scheduler, held);
  return held;
}

/** Names of the hashes that a report forbids; `all` stands for every one. */
export function distrustedIn({ distrust }: RankReport): readonly string[] {
  if (distrust === undefined) return [];
  return distrust.hashes === 'all' ? ['all'] : distrust.hashes.map(nameOf);
}

export const nameOf = (hash: Uint8Array) => Buffer.from(hash).toString('hex');
