import type { Fault } from './faults.ts';
import type { RankReport, Survey } from './ranks/messages.ts';
import type { PublishedGeneration } from './ranks/ranks.ts';

/** An observation that something was lost or went wrong, and whose it is. */
export interface Evidence {
  readonly of: 'link' | 'session' | 'drain' | 'rpc' | 'rank' | 'doubt' | 'audit';
  readonly fault: Fault;
}

/** What a rank's report says against the registration; it was replaced where `published` knows another process. */
export function rankEvidence(published: PublishedGeneration | null, report: RankReport): Evidence {
  const { rank, workerBootId, outcome } = report;
  const isReplaced = published !== null && published.workerBootIds[rank] !== workerBootId;
  const said: Fault = report.fault ?? { kind: 'forgotten', message: `is ${outcome}`, lost: 'device' };
  const fault: Fault = isReplaced
    ? { kind: 'forgotten', message: 'was replaced by another process', lost: 'device' }
    : said;
  return { of: 'rank', fault: { ...fault, message: `rank ${rank}: ${fault.message}` } };
}

/** Another scheduler of this instance speaks to the rank, or spoke. */
export function otherSchedulerEvidence({ rank }: RankReport): Evidence {
  const message = `rank ${rank}: left this scheduler for another one of the same instance`;
  return { of: 'rank', fault: { kind: 'forgotten', message, lost: 'device' } };
}

/** Every rank registered, and the scheduler's server does not have them all. */
export function apartEvidence(survey: Survey): Evidence {
  const found =
    survey.kind === 'incomplete' ? `has ${survey.registered} of ${survey.expected} ranks` : 'has none of them';
  const message = `all ranks registered, and the server of the scheduler ${found}: do all roles reach the same server?`;
  return { of: 'audit', fault: { kind: 'forgotten', message, lost: 'instance' } };
}

const REMOVED_AGAIN =
  ', again: another replica uses the same instance id, or somebody cleans up instances at the server; its log has both';

/**
 * What an answer other than "sealed" says. A registration that goes again and again, before it is old, while link and
 * session live, is taken by somebody: by another replica of this name, or by an operator's cleanup. The server does not say by whom.
 */
export function surveyEvidence(survey: Survey, failedGenerations: number): Evidence {
  if (survey.kind === 'incomplete') {
    const { registered, expected } = survey;
    const message = `${registered} of ${expected} ranks are registered`;
    return { of: 'audit', fault: { kind: 'forgotten', message, lost: 'seal' } };
  }
  const isRemovedAgain = failedGenerations >= 2;
  const message = `the server does not know the instance${isRemovedAgain ? REMOVED_AGAIN : ''}`;
  return { of: 'audit', fault: { kind: 'forgotten', message, lost: 'instance' } };
}

/** Whether a rank's transfers did not end although the server answers: something that no audit of the registration sees. */
export function isWorkStall(evidence: Evidence | null): boolean {
  return evidence?.of === 'rank' && evidence.fault.kind === 'timedOut';
}
