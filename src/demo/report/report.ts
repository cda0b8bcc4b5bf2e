/** What a run came to: computed from its journal, printed as tables or as one JSON object. */
import { eventsOf } from '../journal.ts';
import type { LeakCounts } from '../leaks.ts';
import type { ServerLogReport } from '../server/server-log.ts';
import { type OracleReport, oracleReport } from './oracle-report.ts';
import { outagesOf } from './outages.ts';
import { type RestartReport, restartReports } from './restart-report.ts';
import { blocksOf, type RunFacts } from './run-facts.ts';
import { countHungCalls, countReportedOtherThanOnce } from './settlement.ts';

/** What must be 0. */
export interface Zeros extends LeakCounts {
  readonly wrongBytes: number;
  readonly hungCalls: number;
  readonly requestsReportedOtherThanOnce: number;
}

export interface RunReport {
  readonly ok: boolean;
  readonly restarts: readonly RestartReport[];
  readonly durationMs: number;
  readonly requests: number;
  readonly queries: number;
  readonly queriedBlocks: number;
  readonly hitRatio: number;
  readonly loadedBlocks: number;
  readonly loadedBytes: number;
  readonly verifiedBlocks: number;
  readonly oracle: OracleReport;
  readonly zeros: Zeros;
  /** `null`: the server's log is not ours to read. */
  readonly serverLog: ServerLogReport | null;
}

export function reportOf(facts: RunFacts): RunReport {
  const { events } = facts;
  const outages = outagesOf(events, facts.isServerForeign);
  const answers = eventsOf(events, 'query.answered');
  const oracle = oracleReport(facts, outages);
  const verified = verifiedLoads(facts);
  const queriedBlocks = answers.reduce((sum, { requestId }) => sum + blocksOf(facts, requestId).length, 0);
  const zeros: Zeros = {
    wrongBytes: eventsOf(events, 'blocks.verified').reduce((sum, { wrongBytes }) => sum + wrongBytes, 0),
    hungCalls: countHungCalls(events),
    requestsReportedOtherThanOnce: countReportedOtherThanOnce(events),
    ...facts.leaks,
  };
  return {
    ok: Object.values(zeros).every((count) => count === 0) && oracle.disagreements.length === 0,
    restarts: restartReports(events, outages),
    durationMs: facts.durationMs,
    requests: eventsOf(events, 'request.arrived').length,
    queries: answers.length,
    queriedBlocks,
    hitRatio: queriedBlocks === 0 ? 0 : oracle.hitBlocks / queriedBlocks,
    loadedBlocks: verified.loadedBlocks,
    loadedBytes: verified.bytes,
    verifiedBlocks: verified.blocks,
    oracle,
    zeros,
    serverLog: facts.serverLog,
  };
}

function verifiedLoads({ events, requestBlocks, ranks }: RunFacts) {
  const succeeded = new Set(eventsOf(events, 'load.ended').flatMap((load) => (load.succeeded ? [load.requestId] : [])));
  const loads = eventsOf(events, 'load.scheduled').filter(({ requestId }) => succeeded.has(requestId));
  const checks = eventsOf(events, 'blocks.verified').filter(
    ({ requestId, moment }) => requestBlocks.has(requestId) && moment === 'loaded',
  );
  return {
    loadedBlocks: loads.reduce((sum, { blocks }) => sum + blocks, 0),
    bytes: checks.reduce((sum, { bytes }) => sum + bytes, 0),
    blocks: loads.reduce((sum, { requestId, blocks }) => {
      const checked = checks.filter((check) => check.requestId === requestId && check.blocks === blocks);
      return checked.length === ranks ? sum + blocks : sum;
    }, 0),
  };
}
