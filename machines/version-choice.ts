/** Which version the scheduler's next registration names, and what speaks against one. */
import type { Evidence } from './evidence.ts';
import type { Announcement } from './ranks/messages.ts';
import { type RankReports, refusalIn } from './ranks/ranks.ts';
import { allowsVersion, firstVersionOf, type ServerVersions, storageOffsetFault } from './server-versions.ts';

interface VersionClues {
  readonly serverVersions: ServerVersions;
  /** What the server named in a refusal, or took a registration with, last. */
  readonly serverVersion: string | null;
  readonly announcement: Announcement;
  readonly reports: RankReports;
}

/** What worked last; what the ranks worked with, where this scheduler has just taken the place of another; or the newest. */
export function versionToAnnounce({ serverVersion, serverVersions, reports }: VersionClues): string {
  const reported = reports.map((report) => report?.serverVersion);
  const known = reported.find((version) => version !== undefined && allowsVersion(serverVersions, version));
  return serverVersion ?? known ?? firstVersionOf(serverVersions);
}

/** The version that a rank was told by the server that refused it, where another generation can name that one. */
export function versionTold(clues: VersionClues): string | null {
  const { announcement, reports } = clues;
  if (announcement.action !== 'register') return null;
  const version = refusalIn(reports, announcement.epoch)?.fault?.serverVersion;
  if (version === undefined || version === announcement.serverVersion) return null;
  return isUsable(clues, version) ? version : null;
}

export function isUsable({ serverVersions, reports }: VersionClues, version: string): boolean {
  return allowsVersion(serverVersions, version) && objectionTo(version, reports) === null;
}

/** Why the first rank that must not be registered with such a server must not; `null`: there is none. */
export function objectionTo(version: string, reports: RankReports): Evidence | null {
  for (const report of reports) {
    const fault = report?.layerWithOffset === undefined ? null : storageOffsetFault(report.layerWithOffset, version);
    if (report && fault) return { of: 'rank', fault: { ...fault, message: `rank ${report.rank}: ${fault.message}` } };
  }
  return null;
}
