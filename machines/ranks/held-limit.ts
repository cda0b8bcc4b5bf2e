/** The bound of what may be held for servers that are silent or gone: by amount, never by time. */
import type { Fault } from '../faults.ts';
import type { RankReport, ReportedHeld } from './messages.ts';
import { isNoProof, proofInWords, WAYS_TO_PROOF } from './proof.ts';
import type { RankReports } from './ranks.ts';

/** Share of a rank's blocks in any group. */
export const MAX_HELD_BLOCKS_SHARE = 0.25;

type HoldingReport = RankReport & { readonly held: ReportedHeld };

/** The first rank that holds so much that no more may be put at risk. */
export function atHeldLimit(reports: RankReports, maxShare: number): HoldingReport | undefined {
  return reports.find(
    (report): report is HoldingReport =>
      report?.held !== undefined && report.held.blocks >= maxShare * report.held.ofBlocks,
  );
}

/** What an operator has to know: what is held, why there is no proof, what to do. */
export function heldLimitFault({ rank, held: { groupId, blocks, ofBlocks }, proof }: HoldingReport): Fault {
  const said = proof === undefined ? 'none, nobody has looked yet' : proofInWords(proof);
  const todo =
    proof === undefined || isNoProof(proof)
      ? `end the process of the server if it does not answer; to have proof, ${WAYS_TO_PROOF}, or restart this host`
      : 'end the process of the server if it does not answer';
  const what = `rank ${rank} holds ${blocks} of its ${ofBlocks} blocks of group ${groupId} for loads and saves of unknown outcome`;
  return { kind: 'unreachable', message: `${what} (proof: ${said}): ${todo}` };
}
