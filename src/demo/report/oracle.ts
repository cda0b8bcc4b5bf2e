/**
 * The hit count that a cache without eviction must have, from the requests and the measured outages alone: no answer
 * of the cache goes into it.
 *
 * A block is expected to be a hit once its save ended outside every outage, until the next stop of the engine empties
 * the cache. Two things cannot be known from outside, so the figure is a range: a save that is in flight at the query
 * (or ended less than {@link VISIBILITY_MS} before it: the server inserts after it has answered) may or may not be
 * visible yet, and a query that meets the stop of the engine may or may not be answered.
 */
import { type Outage, startOf } from './outages.ts';

/**
 * How long after its end a save may stay invisible, in milliseconds. The server promises nothing: pegaflow-server
 * inserts on a thread of its own, as a rule within 4 ms of the answer, our engine one turn of its event loop later; on a
 * busy machine either takes a while.
 */
export const VISIBILITY_MS = 250;

export interface ObservedSave {
  /** Keys of the blocks (their hashes in hex). */
  readonly blocks: readonly string[];
  /** When it was scheduled, which decides its epoch; `null` where no rank handed it over. */
  readonly startedAtMs: number | null;
  /**
   * When each slot of the blocks was handed over by a rank that was in service, `null` where it was not. A block is visible
   * once all of its slots are there, whichever saves they came with.
   */
  readonly slots: readonly (number | null)[];
  /** When it had ended on every rank; `null` if it did not. */
  readonly endedAtMs: number | null;
}

export interface ObservedQuery {
  readonly blocks: readonly string[];
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
}

/** Leading blocks that must hit, and that may. */
export interface ExpectedHits {
  readonly atLeast: number;
  readonly atMost: number;
}

export type Oracle = (query: ObservedQuery) => ExpectedHits;

export function createOracle(saves: readonly ObservedSave[], outages: readonly Outage[]): Oracle {
  const savesOf = new Map<string, ObservedSave[]>();
  for (const save of saves) {
    for (const block of save.blocks) {
      const known = savesOf.get(block);
      if (known === undefined) savesOf.set(block, [save]);
      else known.push(save);
    }
  }
  const run = (blocks: readonly string[], holds: (saves: readonly ObservedSave[]) => boolean) => {
    const gap = blocks.findIndex((block) => !holds(savesOf.get(block) ?? []));
    return gap === -1 ? blocks.length : gap;
  };

  return (query) => {
    if (outages.some((outage) => isNoticedAt(outage, query.sentAtMs))) return { atLeast: 0, atMost: 0 };
    const emptyAtMs = emptyAt(outages, query.sentAtMs);
    const surelyKeptSinceMs = Math.max(emptyAtMs, unsureAt(outages, query.sentAtMs));
    const mayBeThere = (saves: readonly ObservedSave[]) => {
      const kept = saves.filter(({ endedAtMs }) => endedAtMs === null || endedAtMs >= emptyAtMs);
      const isHandedOver = (slot: number) =>
        kept.some(({ slots }) => (slots[slot] ?? Number.POSITIVE_INFINITY) <= query.answeredAtMs);
      return kept[0]?.slots.every((_, slot) => isHandedOver(slot)) ?? false;
    };
    const mustBeThere = (saves: readonly ObservedSave[]) =>
      saves.some(
        ({ startedAtMs, slots, endedAtMs }) =>
          startedAtMs !== null &&
          !slots.includes(null) &&
          endedAtMs !== null &&
          startedAtMs >= surelyKeptSinceMs &&
          endedAtMs <= query.sentAtMs - VISIBILITY_MS &&
          !outages.some((outage) => overlaps(outage, startedAtMs, endedAtMs)),
      );
    const meetsOutage = outages.some((outage) => overlaps(outage, query.sentAtMs, query.answeredAtMs));
    return {
      atLeast: meetsOutage ? 0 : run(query.blocks, mustBeThere),
      atMost: run(query.blocks, mayBeThere),
    };
  };
}

/** When somebody else's server was last away: it may have lost what it held, and need not have. */
function unsureAt(outages: readonly Outage[], atMs: number): number {
  return outages.reduce(
    (latest, { stopKind, noticedAtMs }) =>
      stopKind === 'elsewhere' && noticedAtMs !== null && noticedAtMs <= atMs ? Math.max(latest, noticedAtMs) : latest,
    Number.NEGATIVE_INFINITY,
  );
}

function endOf(outage: Outage): number {
  return outage.recoveredAtMs ?? Number.POSITIVE_INFINITY;
}

function overlaps(outage: Outage, fromMs: number, untilMs: number): boolean {
  return startOf(outage) <= untilMs && fromMs <= endOf(outage);
}

/** Whether the scheduler knew, at that time, that it must not ask. */
function isNoticedAt(outage: Outage, atMs: number): boolean {
  return outage.noticedAtMs !== null && outage.noticedAtMs <= atMs && atMs < endOf(outage);
}

/**
 * When the engine that holds what can be hit now began to serve. A stop that is not noticed yet may still be a server
 * that drains, and answers from what it holds.
 */
function emptyAt(outages: readonly Outage[], atMs: number): number {
  return outages.reduce(
    (latest, { stoppedAtMs, noticedAtMs, listeningAtMs }) =>
      stoppedAtMs !== null && noticedAtMs !== null && noticedAtMs <= atMs
        ? Math.max(latest, listeningAtMs ?? stoppedAtMs)
        : latest,
    Number.NEGATIVE_INFINITY,
  );
}
