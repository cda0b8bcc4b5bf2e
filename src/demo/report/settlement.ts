/** Whether every call of a run came to its one end. */
import { type DemoEvent, eventsOf } from '../journal.ts';

/**
 * A call that took longer than this counts as hung, in milliseconds. The engine of the demo only ever dies or drains,
 * so nothing has a reason to wait for a budget; a busy machine stays far below it.
 */
export const HUNG_AFTER_MS = 10_000;

/** Queries, loads and held requests that did not end, or took longer than {@link HUNG_AFTER_MS}. */
export function countHungCalls(events: readonly DemoEvent[]): number {
  const answered = endsBy(eventsOf(events, 'query.answered'), ({ queryId }) => queryId);
  const loaded = endsBy(eventsOf(events, 'load.ended'), ({ requestId }) => requestId);
  const freed = endsBy(eventsOf(events, 'request.freed'), ({ requestId }) => requestId);
  const isHung = (startedAtMs: number, endedAtMs: number | undefined) =>
    endedAtMs === undefined || endedAtMs - startedAtMs > HUNG_AFTER_MS;
  const queries = eventsOf(events, 'query.sent').filter(({ atMs, queryId }) => isHung(atMs, answered.get(queryId)));
  const loads = eventsOf(events, 'load.scheduled').filter(({ atMs, requestId }) => isHung(atMs, loaded.get(requestId)));
  const holds = eventsOf(events, 'request.finished').filter(
    ({ atMs, requestId, held }) => held && isHung(atMs, freed.get(requestId)),
  );
  return queries.length + loads.length + holds.length;
}

/**
 * Requests that did not finish once, or whose load or whose hold was reported other than once: also the end of a load
 * that nobody scheduled.
 */
export function countReportedOtherThanOnce(events: readonly DemoEvent[]): number {
  const idOf = ({ requestId }: { readonly requestId: string }) => requestId;
  const arrived = eventsOf(events, 'request.arrived').map(idOf);
  const finished = eventsOf(events, 'request.finished');
  return new Set([
    ...mismatched(arrived, finished.map(idOf)),
    ...mismatched(eventsOf(events, 'load.scheduled').map(idOf), eventsOf(events, 'load.ended').map(idOf)),
    ...mismatched(finished.filter(({ held }) => held).map(idOf), eventsOf(events, 'request.freed').map(idOf)),
  ]).size;
}

/** Ids that one list holds more often than the other. */
function mismatched(expected: readonly string[], reported: readonly string[]): string[] {
  const balance = new Map<string, number>();
  for (const id of expected) balance.set(id, (balance.get(id) ?? 0) + 1);
  for (const id of reported) balance.set(id, (balance.get(id) ?? 0) - 1);
  return [...balance].flatMap(([id, count]) => (count === 0 ? [] : [id]));
}

function endsBy<Event extends { readonly atMs: number }, Key>(
  events: readonly Event[],
  keyOf: (event: Event) => Key,
): Map<Key, number> {
  return new Map(events.map((event) => [keyOf(event), event.atMs]));
}
