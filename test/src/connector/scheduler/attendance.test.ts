import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { budgetsFrom, type RankReport, type RankReports } from '../../../../machines/index.ts';
import { Attendance } from '../../../../src/connector/scheduler/attendance.ts';
import { own } from '../../../support/own.ts';
import { endpointOf, instancesAt, startEngine, startProxy } from '../../../support/story.ts';
import { TestInstance } from '../../../support/test-instance.ts';
import { warmHashes } from '../../../support/warm-rank.ts';
import { eventually } from '../../../support/within.ts';

const epoch = { schedulerBootId: 'boot', counter: 1 };

describe('a rank is missed', () => {
  const budgets = budgetsFrom({ rankGraceMs: 100, rankSilenceMs: 1_000 });

  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] }));
  afterEach(() => vi.useRealTimers());

  function watched() {
    let sequence = 0;
    let reports: RankReports = [null, null];
    const attendance = new Attendance(reports, epoch, budgets);
    const missed: string[] = [];
    const say = (rank: number, change: Partial<RankReport> = {}) => {
      sequence += 1;
      const said = {
        rank,
        workerBootId: `worker-${rank}`,
        sequence,
        epoch,
        outcome: 'registered',
        fault: null,
      } as const;
      reports = reports.with(rank, { ...said, idle: true, serves: true, ...change });
      attendance.observe(reports, epoch);
    };
    for (const rank of [0, 1]) say(rank);
    const unwatch = attendance.watch((rank, isSilent) => missed.push(`${rank} ${isSilent ? 'silent' : 'absent'}`));
    const pass = (ms: number) => vi.advanceTimersByTime(ms + 1);
    return { attendance, missed, say, unwatch, pass };
  }

  it('when it has not served for longer than the grace, and not before', () => {
    const { missed, say, pass } = watched();
    say(1, { serves: false });
    pass(90);
    say(1);
    pass(200);
    expect(missed).toEqual([]);
    say(1, { serves: false });
    say(1, { serves: false });
    pass(105);
    expect(missed[0]).toBe('1 absent');
  });

  it('when what it serves is another epoch', () => {
    const { missed, say, pass } = watched();
    say(0, { epoch: { schedulerBootId: 'another', counter: 1 } });
    pass(105);
    expect(missed[0]).toBe('0 absent');
  });

  it('when three metadata were built since it was heard, and the silence was long enough', () => {
    const { attendance, missed, say, pass } = watched();
    for (let step = 0; step < 3; step += 1) attendance.carried();
    pass(900);
    expect(missed).toEqual([]);
    say(0);
    pass(300);
    expect(missed).toEqual(['1 silent']);
  });

  it('never while the host makes no steps, or waits for one of them', () => {
    const { attendance, missed, pass } = watched();
    for (let step = 0; step < 2; step += 1) attendance.carried();
    pass(3_600_000);
    expect(missed).toEqual([]);
  });

  it('when it said that it would report by itself, and does not', () => {
    const { missed, say, pass } = watched();
    for (let tick = 0; tick < 50; tick += 1) {
      for (const rank of [0, 1]) say(rank, { againWithinMs: 200 });
      pass(200);
    }
    expect(missed).toEqual([]);
    for (let tick = 0; tick < 7; tick += 1) {
      say(0, { againWithinMs: 200 });
      pass(200);
    }
    expect(new Set(missed)).toEqual(new Set(['1 silent']));
  });

  it('by nobody once the watch has ended', () => {
    const { missed, say, pass, unwatch } = watched();
    say(1, { serves: false });
    unwatch();
    pass(10_000);
    expect(missed).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('in service only while every rank serves', () => {
  it('S-72: while one rank cannot reach the server queries miss and no rank saves; then the epoch goes on', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const rankEndpoint = [endpointOf(engine), proxy.endpoint];
    const instance = own(new TestInstance(endpointOf(engine), { worldSize: 2, rankEndpoint })).start();
    await instance.reached('connected');
    const { scheduler, workers } = instance;
    const before = scheduler.status.epoch?.counter;
    await proxy.refuse();
    proxy.cut();
    await eventually('the rank to know', () => (workers[1]!.takeReport().serves ? null : true));
    expect(scheduler.scheduleSave({ requestId: 'half', blockIds: [0], blockHashes: warmHashes.slice(0, 1) })).toBe(
      false,
    );
    expect(instance.finish('half')).toBe(false);
    await instance.at('degraded.missingRank');
    expect(scheduler.status.missedRanks).toMatchObject([{ rank: 1 }]);
    expect(await scheduler.query({ requestId: 'asks', blockHashes: warmHashes })).toEqual({
      kind: 'miss',
      reason: 'notConnected',
    });
    expect(workers.map(({ stats }) => stats.saves)).toEqual(
      workers.map(() => ({ succeeded: 0, failed: 0, refused: 0 })),
    );
    await proxy.admit();
    await instance.reached('connected');
    expect([scheduler.status.epoch?.counter, scheduler.status.missedRanks]).toEqual([before, []]);
  });

  it('S-72: a rank that is not heard over many steps is named, and its successor makes the instance whole again', async () => {
    const engine = await startEngine();
    const budgets = { rankSilenceMs: 300, rankAwayMs: 400, quiesceTimeoutMs: 200 };
    const instance = own(new TestInstance(endpointOf(engine), { worldSize: 2, isPushed: false, budgets })).start();
    const isAt = (path: string) =>
      eventually(path, () => {
        instance.step();
        return instance.scheduler.status.path.startsWith(path) ? true : null;
      });
    await isAt('connected');
    instance.deafTo = 1;
    await isAt('degraded.missingRank');
    expect(instance.scheduler.status.fault?.message).toMatch(/^rank 1: no report for/);
    await isAt('reRegistering.awaitingRanks');
    expect(await instancesAt(engine)).toEqual([]);
    instance.deafTo = null;
    await isAt('connected');
    expect(instance.scheduler.status.missedRanks).toEqual([]);
  });
});
