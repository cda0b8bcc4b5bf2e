/** The oracle's figure beside the cache's own, query by query. */
import { eventsOf } from '../journal.ts';
import { createOracle, type ExpectedHits, type ObservedSave, VISIBILITY_MS } from './oracle.ts';
import { connectedTimes, type Outage } from './outages.ts';
import { blocksOf, type RunFacts } from './run-facts.ts';

export interface OracleReport {
  /** False where the pool may have been too small for what was saved: with eviction no block must have hit. */
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
  const comparable = !mayHaveEvicted(facts, saves, outages);
  const sentAtMs = new Map(eventsOf(facts.events, 'query.sent').map(({ queryId, atMs }) => [queryId, atMs]));
  const judged = eventsOf(facts.events, 'query.answered').map((answer): Disagreement => {
    const { requestId, blocks: hitBlocks, atMs: answeredAtMs } = answer;
    const sent = sentAtMs.get(answer.queryId) ?? answeredAtMs;
    const { atLeast, atMost } = oracle({ blocks: blocksOf(facts, requestId), sentAtMs: sent, answeredAtMs });
    const expected = { atLeast: comparable ? atLeast : 0, atMost };
    return { requestId, sentAtMs: sent, hitBlocks, ...expected };
  });
  const sum = (pick: (query: Disagreement) => number) => judged.reduce((total, query) => total + pick(query), 0);
  return {
    comparable,
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
    const served = submitted.filter(({ rank, atMs }) => inService[rank]?.(atMs) === true);
    const ofRank = (rank: number) => served.find((one) => one.rank === rank)?.atMs ?? null;
    return {
      blocks: positions.flatMap((position) => blocks[position] ?? []),
      startedAtMs: submitted.length === 0 ? null : scheduledAtMs,
      slots: ranksShareBlocks
        ? [served.length === 0 ? null : Math.min(...served.map(({ atMs }) => atMs))]
        : Array.from({ length: ranks }, (_, rank) => ofRank(rank)),
      endedAtMs: endedAtMs.get(requestId) ?? null,
    };
  });
}

/** A pool's classes of sizes are at most an eighth apart (pegaflow-server 0.25). */
const ROUNDING = 9 / 8;

/**
 * Whether what was saved between two stops could have filled the pool, and so had anything evicted: the server then
 * takes out hundreds of blocks at a time. A block that is being saved twice counts twice: a Save's blocks are one piece
 * of memory, which is free when the last of them is gone.
 */
function mayHaveEvicted(
  { poolSizeBytes, blockBytesStored }: RunFacts,
  saves: readonly ObservedSave[],
  outages: readonly Outage[],
): boolean {
  if (poolSizeBytes === null) return true;
  const stops = outages.flatMap(({ stoppedAtMs }) => stoppedAtMs ?? []);
  return [Number.NEGATIVE_INFINITY, ...stops].some((fromMs, index) => {
    const untilMs = stops[index] ?? Number.POSITIVE_INFINITY;
    const held = saves.filter(
      ({ startedAtMs, endedAtMs }) =>
        startedAtMs !== null && startedAtMs <= untilMs && (endedAtMs === null || endedAtMs >= fromMs),
    );
    return blocksTaken(held) * blockBytesStored * ROUNDING > poolSizeBytes;
  });
}

/** How many blocks the server kept memory for: it skips what it already has. */
function blocksTaken(saves: readonly ObservedSave[]): number {
  const haveSinceMs = new Map<string, number>();
  let taken = 0;
  for (const { blocks, startedAtMs, endedAtMs } of saves) {
    const keptFromMs = endedAtMs === null ? Number.POSITIVE_INFINITY : endedAtMs + VISIBILITY_MS;
    for (const block of blocks) {
      const since = haveSinceMs.get(block) ?? Number.POSITIVE_INFINITY;
      if (startedAtMs === null || startedAtMs < since) taken += 1;
      haveSinceMs.set(block, Math.min(since, keptFromMs));
    }
  }
  return taken;
}
