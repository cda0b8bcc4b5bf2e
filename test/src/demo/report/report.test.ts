import { describe, expect, test } from 'vitest';
import type { DemoEvent } from '../../../../src/demo/journal.ts';
import { reportOf } from '../../../../src/demo/report/report.ts';
import type { RunFacts } from '../../../../src/demo/report/run-facts.ts';

const noLeaks = { leakedProcesses: 0, leakedSharedMemory: 0, leakedSockets: 0 };

function status(atMs: number, path: string, machine = 'scheduler'): DemoEvent {
  return { type: 'status.changed', atMs, machine, path, fault: null };
}

function refusals(atMs: number, rank: number, loads: number, saves: number): DemoEvent {
  const counts = (refused: number) => ({ succeeded: 0, failed: 0, refused });
  const quarantineEnds = { record: 0, answer: 0, strongProof: 0, weakProof: 0, threadsGone: 0, unsafeRelease: 0 };
  const totals = { loads: counts(loads), saves: counts(saves), unsafeReleases: 0, quarantineEnds };
  return { type: 'worker.counted', atMs, rank, ...totals };
}

function query(atMs: number, requestId: string, queryId: number, blocks: number, reason: string | null): DemoEvent[] {
  const result = reason === null ? 'hit' : 'miss';
  return [
    { type: 'query.sent', atMs, requestId, queryId },
    { type: 'query.answered', atMs: atMs + 1, requestId, queryId, result, blocks, reason },
  ];
}

function computed(atMs: number, requestId: string): DemoEvent[] {
  return [
    { type: 'save.scheduled', atMs, requestId, positions: [0, 1] },
    { type: 'save.submitted', atMs, rank: 0, requestId },
    { type: 'save.submitted', atMs, rank: 1, requestId },
    { type: 'request.finished', atMs, requestId, held: true },
    { type: 'request.freed', atMs: atMs + 10, requestId },
    { type: 'save.ended', atMs: atMs + 10, requestId },
  ];
}

const verified = (atMs: number, rank: number, wrongBytes = 0): DemoEvent => ({
  type: 'blocks.verified',
  atMs,
  rank,
  requestId: 'hit',
  moment: 'loaded',
  blocks: 2,
  bytes: 100,
  wrongBytes,
});

/** One restart: `first` fills the cache, `during` meets the outage, `second` fills it again and `hit` loads it. */
const story: readonly DemoEvent[] = [
  { type: 'engine.listening', atMs: 10, pid: 1 },
  status(18, 'connected', 'rank 0'),
  status(19, 'connected', 'rank 1'),
  status(20, 'connected'),
  { type: 'request.arrived', atMs: 30, requestId: 'first', blocks: 2 },
  ...query(30, 'first', 1, 0, 'notCached'),
  ...computed(40, 'first'),
  refusals(50, 0, 0, 1),
  { type: 'engine.stopped', atMs: 1_000, kind: 'kill', outageMs: 400 },
  status(1_003, 'reconnecting.dialing'),
  status(1_003, 'reconnecting.dialing', 'rank 0'),
  status(1_004, 'reconnecting.dialing', 'rank 1'),
  { type: 'request.arrived', atMs: 1_010, requestId: 'during', blocks: 2 },
  ...query(1_010, 'during', 2, 0, 'notConnected'),
  ...computed(1_020, 'during'),
  refusals(1_030, 0, 0, 2),
  refusals(1_031, 1, 1, 3),
  { type: 'engine.listening', atMs: 1_500, pid: 2 },
  status(1_510, 'connected', 'rank 0'),
  status(1_512, 'connected', 'rank 1'),
  status(1_520, 'connected.unaudited'),
  { type: 'request.arrived', atMs: 1_600, requestId: 'second', blocks: 2 },
  ...query(1_600, 'second', 3, 0, 'notCached'),
  ...computed(1_610, 'second'),
  { type: 'request.arrived', atMs: 4_000, requestId: 'hit', blocks: 2 },
  ...query(4_000, 'hit', 4, 2, null),
  { type: 'load.scheduled', atMs: 4_001, requestId: 'hit', blocks: 2 },
  verified(4_010, 0),
  verified(4_011, 1),
  { type: 'load.ended', atMs: 4_012, requestId: 'hit', succeeded: true },
  { type: 'request.finished', atMs: 4_013, requestId: 'hit', held: false },
];

function reportFor(changes: Partial<RunFacts> = {}) {
  const requestBlocks = new Map(['first', 'during', 'second', 'hit'].map((id) => [id, ['a', 'b']]));
  const facts = {
    events: story,
    requestBlocks,
    ranks: 2,
    ranksShareBlocks: false,
    blockBytesStored: 100,
    poolSizeBytes: 1_000,
    isServerForeign: false,
    serverLog: null,
    durationMs: 9,
  };
  return reportOf({ ...facts, leaks: noLeaks, ...changes });
}

describe('the report', () => {
  test('tells of a restart what was measured', () => {
    expect(reportFor().restarts).toEqual([
      {
        stop: 'kill',
        plannedOutageMs: 400,
        awayMs: 500,
        detectionMs: 3,
        registeredMs: 20,
        firstHitMs: 2_501,
        missedQueries: 1,
        refusedLoads: 1,
        refusedSaves: 4,
        loadsInFlight: { succeeded: 0, failed: 0 },
      },
    ]);
  });

  test('tells of the run what was hit, loaded and verified', () => {
    expect(reportFor()).toMatchObject({
      ok: true,
      requests: 4,
      queries: 4,
      queriedBlocks: 8,
      hitRatio: 0.25,
      loadedBlocks: 2,
      loadedBytes: 200,
      verifiedBlocks: 2,
      oracle: { comparable: true, atLeastBlocks: 2, hitBlocks: 2, atMostBlocks: 2, notYetVisibleBlocks: 0 },
    });
  });

  test('counts a load in flight at the stop by how it ended', () => {
    const events: DemoEvent[] = [
      ...story,
      { type: 'load.scheduled', atMs: 990, requestId: 'first', blocks: 2 },
      { type: 'load.ended', atMs: 1_005, requestId: 'first', succeeded: false },
    ];
    expect(reportFor({ events }).restarts[0]?.loadsInFlight).toEqual({ succeeded: 0, failed: 1 });
  });

  test('fails for a wrong byte, a leak, a hung call and an end reported twice', () => {
    const twice = story.filter(({ type }) => type === 'load.ended');
    const unanswered: DemoEvent = { type: 'query.sent', atMs: 4_030, requestId: 'hit', queryId: 5 };
    expect(reportFor({ events: [...story, verified(4_020, 0, 7)] })).toMatchObject({
      ok: false,
      zeros: { wrongBytes: 7 },
    });
    expect(reportFor({ leaks: { ...noLeaks, leakedSockets: 1 } })).toMatchObject({
      ok: false,
      zeros: { leakedSockets: 1 },
    });
    expect(reportFor({ events: [...story, unanswered] })).toMatchObject({ ok: false, zeros: { hungCalls: 1 } });
    expect(reportFor({ events: [...story, ...twice] })).toMatchObject({
      ok: false,
      zeros: { requestsReportedOtherThanOnce: 1 },
    });
  });

  test('fails where the oracle disagrees, and names the query', () => {
    const events = story.map((event) =>
      event.type === 'query.answered' && event.queryId === 4 ? { ...event, blocks: 1 } : event,
    );
    const { ok, oracle } = reportFor({ events });
    expect(ok).toBe(false);
    expect(oracle.disagreements).toEqual([{ requestId: 'hit', sentAtMs: 4_000, hitBlocks: 1, atLeast: 2, atMost: 2 }]);
  });

  test('expects nothing of a save that a rank refused, unless the ranks share their blocks', () => {
    const events: DemoEvent[] = [...story.slice(0, -8), status(1_605, 'reconnecting', 'rank 1'), ...story.slice(-8)];
    const sorted = events.toSorted((a, b) => a.atMs - b.atMs);
    expect(reportFor({ events: sorted }).oracle).toMatchObject({ atMostBlocks: 0 });
    expect(reportFor({ events: sorted, ranksShareBlocks: true }).oracle).toMatchObject({ atLeastBlocks: 2 });
  });

  test('demands no hit where the pool, rounded by an eighth, may not hold what was saved, or is not known', () => {
    expect(reportFor({ poolSizeBytes: 224 }).oracle.comparable).toBe(false);
    expect(reportFor({ poolSizeBytes: 225 }).oracle.comparable).toBe(true);
    const { oracle } = reportFor({ poolSizeBytes: null });
    expect([oracle.comparable, oracle.atLeastBlocks]).toEqual([false, 0]);
    expect(oracle.atMostBlocks).toBe(reportFor().oracle.atMostBlocks);
  });
});
