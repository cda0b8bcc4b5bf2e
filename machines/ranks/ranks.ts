/** What the ranks' latest reports say together. The index into the list is the rank. */
import { type Epoch, isSameEpoch } from './epoch.ts';
import type { Announcement, RankReport, Recall } from './messages.ts';

export type RankReports = readonly (RankReport | null)[];

/** A generation that was published: the boots that confirmed it. Kept only while nothing refuted it. */
export interface PublishedGeneration {
  readonly epoch: Epoch;
  readonly workerBootIds: readonly string[];
}

function speaksOf(report: RankReport | null | undefined, epoch: Epoch): report is RankReport & { epoch: Epoch } {
  return report?.epoch != null && isSameEpoch(report.epoch, epoch);
}

function isConfirmation(report: RankReport): boolean {
  return report.outcome === 'registered' || report.outcome === 'kept';
}

export function allConfirm(reports: RankReports, epoch: Epoch): boolean {
  return reports.every((report) => speaksOf(report, epoch) && isConfirmation(report));
}

/** The first rank that said no in this epoch. */
export function refusalIn(reports: RankReports, epoch: Epoch): RankReport | undefined {
  return reports.find(
    (report): report is RankReport =>
      speaksOf(report, epoch) && (report.outcome === 'failed' || report.outcome === 'lost'),
  );
}

/** Whether a rank begins loads and saves in this epoch, as far as it said. */
export function servesIn(report: RankReport | null | undefined, epoch: Epoch): boolean {
  return speaksOf(report, epoch) && report.serves;
}

/** The ranks that do not. */
export function unservingRanks(reports: RankReports, epoch: Epoch): readonly number[] {
  return reports.flatMap((report, rank) => (servesIn(report, epoch) ? [] : [rank]));
}

/** Whether a rank had heard this announcement when it reported. One that has stopped hears no more, and an older one does not say. */
function answers({ epoch, number, outcome }: RankReport, announcement: Announcement): boolean {
  if (outcome === 'stopped' || number === undefined || announcement.number === undefined) return true;
  return epoch?.schedulerBootId === announcement.epoch.schedulerBootId && number >= announcement.number;
}

/**
 * The ranks that have not answered `wait` by ceasing to copy. A report from before it says nothing of the loads that came
 * with the last step, and a rank that never reported may follow a scheduler before this one.
 */
export function unquietRanks(reports: RankReports, wait: Announcement): readonly number[] {
  const isQuiet = (report: RankReport | null) =>
    report !== null && (report.isQuiet ?? report.idle) && !report.serves && answers(report, wait);
  return reports.flatMap((report, rank) => (isQuiet(report) ? [] : [rank]));
}

/** Whether no rank copies, and none will begin to. */
export function allQuiet(reports: RankReports, wait: Announcement): boolean {
  return unquietRanks(reports, wait).length === 0;
}

/** Those that left this scheduler for another one: a late word of that one may have put it aside. */
export function recallsFor(reports: RankReports, { schedulerBootId }: Epoch): readonly Recall[] {
  return reports.flatMap((report) =>
    report?.turn !== undefined && report.former?.includes(schedulerBootId)
      ? [{ workerBootId: report.workerBootId, turn: report.turn }]
      : [],
  );
}

/** The first rank that left this scheduler for another one and is not recalled yet. */
export function rankOfOtherScheduler(
  reports: RankReports,
  { epoch, recalls = [] }: Announcement,
): RankReport | undefined {
  const isRecalled = ({ workerBootId, turn }: Recall) =>
    recalls.some((recall) => recall.workerBootId === workerBootId && recall.turn === turn);
  return reports.find(
    (report): report is RankReport =>
      report !== null && recallsFor([report], epoch).some((recall) => !isRecalled(recall)),
  );
}

/** The first rank that asks in this epoch for a generation, to prove with it the end of what it has in doubt. */
export function proofAskedIn(reports: RankReports, epoch: Epoch): RankReport | undefined {
  return reports.find((report): report is RankReport => speaksOf(report, epoch) && report.asksProof === true);
}

/** Whether no rank waits to see the end of what the instance's clear has ended. */
export function noneProves(reports: RankReports): boolean {
  return reports.every((report) => report?.doubt !== 'provable');
}

export function publishedFrom(reports: RankReports, epoch: Epoch): PublishedGeneration {
  return { epoch, workerBootIds: reports.map((report) => report?.workerBootId ?? '') };
}

/** Whether every rank, unchanged since, still stands by its registration in `published`. */
export function upholds(reports: RankReports, published: PublishedGeneration): boolean {
  return reports.every(
    (report, rank) =>
      speaksOf(report, published.epoch) &&
      isConfirmation(report) &&
      report.workerBootId === published.workerBootIds[rank],
  );
}

/** Whether every rank that reported is the process that `published` knows. */
export function areSameBoots(reports: RankReports, published: PublishedGeneration): boolean {
  return reports.every((report, rank) => report === null || report.workerBootId === published.workerBootIds[rank]);
}

/** The first rank that has not said that it stopped. */
export function unstoppedRank(reports: RankReports): number | undefined {
  const rank = reports.findIndex((report) => report?.outcome !== 'stopped');
  return rank < 0 ? undefined : rank;
}

/** The first rank whose Register nobody answered: it may be taken after the instance was cleared. */
export function rankWithOpenRegister(reports: RankReports): number | undefined {
  const rank = reports.findIndex((report) => report?.isRegisterOpen === true);
  return rank < 0 ? undefined : rank;
}

/**
 * Whether this report takes back what `published` rests on: the rank was replaced, follows another scheduler, or says that
 * it lost its registration.
 */
export function refutes(report: RankReport, published: PublishedGeneration): boolean {
  if (report.workerBootId !== published.workerBootIds[report.rank]) return true;
  if (report.epoch !== null && report.epoch.schedulerBootId !== published.epoch.schedulerBootId) return true;
  return speaksOf(report, published.epoch) && !isConfirmation(report);
}

/** A report that was overtaken by a newer one of the same worker. */
export function isLate(report: RankReport, held: RankReport | null): boolean {
  return held?.workerBootId === report.workerBootId && held.sequence > report.sequence;
}

/** A worker process that another one took the place of. */
export interface FormerWorker {
  readonly workerBootId: string;
  /** Of the epoch that was announced last when it was replaced. */
  readonly counter: number;
}

/**
 * Whether this is a late word of a process that was replaced. One that speaks of an epoch announced since then lives: it
 * was put aside by a late word of its predecessor.
 */
export function isFormer(
  { workerBootId, epoch }: RankReport,
  former: readonly FormerWorker[],
  current: Epoch,
): boolean {
  const held = former.find((worker) => worker.workerBootId === workerBootId);
  if (held === undefined) return false;
  return epoch?.schedulerBootId !== current.schedulerBootId || epoch.counter <= held.counter;
}
