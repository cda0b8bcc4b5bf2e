import {
  type Budgets,
  type Epoch,
  type Fault,
  type RankReport,
  type RankReports,
  servesIn,
} from '../../../machines/index.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';

interface Presence {
  report: RankReport | null;
  heardMs: number;
  /** Messages that the host carried to the ranks since this one was heard. */
  carried: number;
  /** Since when its reports say that it does not serve; `null` while they say that it does. */
  absentSinceMs: number | null;
}

export type OnMissed = (rank: number, isSilent: boolean, fault: Fault) => void;

/** Messages carried to the ranks without a word from one of them, before its silence can mean anything. */
const CARRIED_MIN = 3;
/** Reports that a rank may be late with, of those that it said it would make by itself. */
const REPORTS_MISSED_MAX = 3;
/** How often in `rankSilenceMs` the watch looks. */
const LOOKS = 5;

/**
 * Which ranks are there: heard, and serving in the epoch. A rank is silent only while the host carries messages: it has
 * built {@link CARRIED_MIN} metadata since, or the rank reports by itself over a channel of the host's.
 */
export class Attendance {
  #budgets: Budgets;
  #epoch: Epoch;
  #ranks: Presence[];
  #onMissed: OnMissed | null = null;
  #cancelLook: () => void = () => {};
  #cancelGrace: (() => void) | null = null;

  constructor(reports: RankReports, epoch: Epoch, budgets: Budgets) {
    const nowMs = performance.now();
    this.#budgets = budgets;
    this.#epoch = epoch;
    this.#ranks = reports.map((report) => ({ report, heardMs: nowMs, carried: 0, absentSinceMs: nowMs }));
  }

  /** What the machine holds of the ranks now. */
  observe(reports: RankReports, epoch: Epoch): void {
    const nowMs = performance.now();
    let isWorse = false;
    for (const [rank, report] of reports.entries()) {
      const presence = this.#ranks[rank]!;
      if (report === presence.report && epoch === this.#epoch) continue;
      if (report !== presence.report) Object.assign(presence, { report, heardMs: nowMs, carried: 0 });
      const isAbsent = !servesIn(report, epoch);
      isWorse ||= isAbsent && presence.absentSinceMs === null;
      presence.absentSinceMs = isAbsent ? (presence.absentSinceMs ?? nowMs) : null;
    }
    this.#epoch = epoch;
    if (isWorse) this.#awaitGrace();
  }

  /** The host carries a message to every rank. */
  carried(): void {
    for (const presence of this.#ranks) presence.carried += 1;
  }

  readonly watch = (onMissed: OnMissed): (() => void) => {
    this.#onMissed = onMissed;
    const nowMs = performance.now();
    for (const presence of this.#ranks) if (presence.absentSinceMs !== null) presence.absentSinceMs = nowMs;
    this.#awaitGrace();
    this.#awaitLook();
    return () => {
      this.#onMissed = null;
      this.#cancelGrace?.();
      this.#cancelGrace = null;
      this.#cancelLook();
    };
  };

  /** Looks once the first of those that are absent has had its grace. */
  #awaitGrace(): void {
    if (this.#cancelGrace !== null || this.#onMissed === null) return;
    const sinceMs = this.#ranks.flatMap(({ absentSinceMs }) => absentSinceMs ?? []);
    if (sinceMs.length === 0) return;
    const goneMs = performance.now() - Math.min(...sinceMs);
    this.#cancelGrace = ioFirstTimer(Math.max(1, this.#budgets.rankGraceMs - goneMs), () => {
      this.#cancelGrace = null;
      this.#look();
      this.#awaitGrace();
    });
  }

  #awaitLook(): void {
    this.#cancelLook = ioFirstTimer(this.#budgets.rankSilenceMs / LOOKS, () => {
      this.#awaitLook();
      this.#look();
    });
  }

  #look(): void {
    const nowMs = performance.now();
    for (const [rank, presence] of this.#ranks.entries()) {
      const { absentSinceMs, report } = presence;
      const isAbsent = absentSinceMs !== null && nowMs - absentSinceMs >= this.#budgets.rankGraceMs;
      const isSilent = this.#isSilent(presence, nowMs);
      if (isSilent) this.#onMissed?.(rank, true, silence(rank, nowMs - presence.heardMs));
      else if (isAbsent) this.#onMissed?.(rank, false, absence(rank, report));
    }
  }

  #isSilent({ report, heardMs, carried }: Presence, nowMs: number): boolean {
    const { rankSilenceMs } = this.#budgets;
    const promisedMs = report?.againWithinMs;
    const isOverdue = promisedMs !== undefined && nowMs - heardMs >= promisedMs * REPORTS_MISSED_MAX;
    return nowMs - heardMs >= rankSilenceMs && (carried >= CARRIED_MIN || isOverdue);
  }
}

function silence(rank: number, silentMs: number): Fault {
  const message = `rank ${rank}: no report for ${Math.round(silentMs)} ms while the host carries messages; look whether its process lives`;
  return { kind: 'unreachable', message };
}

function absence(rank: number, report: RankReport | null): Fault {
  const why = report?.fault ? `: ${report.fault.message}` : '';
  return { kind: 'unreachable', message: `rank ${rank} does not serve${why}` };
}
