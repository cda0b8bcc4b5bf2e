/** The oracle's figure beside the cache's own, query by query. */
import { eventsOf } from './journal.ts';
import { createOracle, type ExpectedHits, type ObservedSave } from './oracle.ts';
import { connectedTimes, type Outage } from './outages.ts';
import { blocksOf, type RunFacts } from './run-facts.ts';

export interface OracleReport {
  /** False where the pool was too small for what was saved: with eviction there is nothing to compare with. */
  readonly comparable: boolean;
  readonly atLeastBlocks: number;
  readonly hitBlocks: number;
  readonly atMostBlocks: number;
  /** Blocks that would have been hits had every save been visible as soon as it was scheduled. */
  readonly notYetVisibleBlocks: number;
  /** Queries whose hit lies outside its range: each is a defect. */
  readonly disagreements: readonly Disagreement[];
}

export interface Disagreement extends ExpectedHits {
  readonly requestId: string;
  readonly sentAtMs: number;
  readonly hitBlocks: number;
}

export function oracleReport(facts: RunFacts, outages: readonly Outage[]): OracleReport {
  const saves = observedSaves(facts);
  const oracle = createOracle(saves, outages);
  const sentAtMs = new Map(eventsOf(facts.events, 'query.sent').map(({ queryId, atMs }) => [queryId, atMs]));
  const judged = eventsOf(facts.events, 'query.answered').map((answer): Disagreement => {
    const { requestId, blocks: hitBlocks, atMs: answeredAtMs } = answer;
    const sent = sentAtMs.get(answer.queryId) ?? answeredAtMs;
    const expected = oracle({ blocks: blocksOf(facts, requestId), sentAtMs: sent, answeredAtMs });
    return { requestId, sentAtMs: sent, hitBlocks, ...expected };
  });
  const sum = (pick: (query: Disagreement) => number) => judged.reduce((total, query) => total + pick(query), 0);
  return {
    comparable: !mayHaveEvicted(facts, saves, outages),
    atLeastBlocks: sum(({ atLeast }) => atLeast),
    hitBlocks: sum(({ hitBlocks }) => hitBlocks),
    atMostBlocks: sum(({ atMost }) => atMost),
    notYetVisibleBlocks: sum(({ atLeast, atMost }) => atMost - atLeast),
    disagreements: judged.filter(({ hitBlocks, atLeast, atMost }) => hitBlocks < atLeast || hitBlocks > atMost),
  };
}

function observedSaves(facts: RunFacts): ObservedSave[] {
  const { events, ranks, ranksShareBlocks } = facts;
  const endedAtMs = new Map(eventsOf(events, 'save.ended').map(({ requestId, atMs }) => [requestId, atMs]));
  const submissions = Map.groupBy(eventsOf(events, 'save.submitted'), ({ requestId }) => requestId);
  const inService = Array.from({ length: ranks }, (_, rank) => connectedTimes(events, `rank ${rank}`));
  return eventsOf(events, 'save.scheduled').map(({ requestId, positions, atMs: scheduledAtMs }): ObservedSave => {
    const blocks = blocksOf(facts, requestId);
    const submitted = submissions.get(requestId) ?? [];
    const served = submitted.filter(({ rank, atMs }) => inService[rank]?.(atMs) === true).map(({ atMs }) => atMs);
    const isWhole = served.length === ranks || (ranksShareBlocks && served.length > 0);
    return {
      blocks: positions.flatMap((position) => blocks[position] ?? []),
      startedAtMs: submitted.length === 0 ? null : scheduledAtMs,
      wholeAtMs: isWhole ? (ranksShareBlocks ? Math.min(...served) : Math.max(...served)) : null,
      endedAtMs: endedAtMs.get(requestId) ?? null,
    };
  });
}

/** Whether the distinct blocks saved between two stops could have filled the pool. */
function mayHaveEvicted(
  { poolSizeBytes, blockBytesStored }: RunFacts,
  saves: readonly ObservedSave[],
  outages: readonly Outage[],
): boolean {
  const stops = outages.flatMap(({ stoppedAtMs }) => stoppedAtMs ?? []);
  return [Number.NEGATIVE_INFINITY, ...stops].some((fromMs, index) => {
    const untilMs = stops[index] ?? Number.POSITIVE_INFINITY;
    const held = saves.filter(
      ({ startedAtMs, endedAtMs }) =>
        startedAtMs !== null && startedAtMs <= untilMs && (endedAtMs === null || endedAtMs >= fromMs),
    );
    return new Set(held.flatMap(({ blocks }) => blocks)).size * blockBytesStored > poolSizeBytes;
  });
}
