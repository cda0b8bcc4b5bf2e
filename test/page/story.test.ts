import { describe, expect, it } from 'vitest';
import type { Cache, FeedRecord } from '../../src/feed/record.ts';
import { clock } from '../../src/page/format.js';
import { accept, createHistory, schedulerOf } from '../../src/page/history.js';
import { outagesOf } from '../../src/page/outages.js';
import { rowInWords, sequenceOf } from '../../src/page/sequence.js';
import { ratioSpans } from '../../src/page/timeline/hit-ratio.js';
import { trailOf } from '../../src/page/trail.js';
import { headlineOf } from '../../src/page/views/headline.js';
import { nextStepMs } from '../../src/page/views/next-step.js';
import { outageInWords } from '../../src/page/words.js';
import { connected, lost, outage, recovered, schedulerId, step } from './support/synthetic-outage.ts';

const replica = { instance: 'replica-0', ranks: 3 };
const scheduler = schedulerId(replica.instance);

function historyOf(records: readonly FeedRecord[]) {
  const history = createHistory();
  for (const record of records) accept(history, record);
  return history;
}

const told = historyOf([...connected(replica, 1000), ...outage(replica, 5000)]);

describe('outages', () => {
  const wordsOf = (records: readonly FeedRecord[], untilMs = 1e6) =>
    outagesOf(historyOf([...connected(replica, 1000), ...records]), 'replica-0', untilMs).map((one) =>
      outageInWords(one, untilMs),
    );

  it('are known from the first evidence to the recovery, with what the owner of the server said', () => {
    expect(outagesOf(told, 'replica-0', 10_000)).toEqual([
      {
        fromMs: 5020,
        toMs: 6100,
        end: 'recovered',
        stoppedMs: 5000,
        listeningMs: 6000,
        how: 'kill',
        isPlanned: false,
        evidence: { kind: 'unreachable', message: 'the server closed the connection' },
        epochBefore: '#1',
        epochAfter: '#2',
      },
    ]);
  });

  it('are said in words while they last, when they are over, when a stop ended them, and when nothing more was heard', () => {
    expect(wordsOf(outage(replica, 5000), 5500)).toEqual(['server killed, 480 ms so far']);
    expect(wordsOf(outage(replica, 5000))).toEqual([
      'server killed, 1.1 s, recovered 100 ms after the server was back',
    ]);
    const stop = step(scheduler, 6020, 'reconnecting.dialing', 'stopping.stoppingRanks', 'stop', '#1');
    expect(wordsOf([...lost(replica, 5000), stop])).toEqual(['server killed, 1.0 s, ended by a stop']);
    expect(wordsOf([...lost(replica, 5000), { type: 'gone', atMs: 6020, machine: scheduler }])).toEqual([
      'server killed, 1.0 s, then nothing more was heard of the connector',
    ]);
  });

  it('have the cause that was noticed where nobody said what happened to the server', () => {
    const unsaid = [...lost(replica, 5000), ...recovered(replica, 6000)].filter(({ type }) => type !== 'server');
    expect(wordsOf(unsaid)).toEqual(['server unreachable, recovered after 1.1 s']);
  });

  it('have each their own stop of the server, also one that is noticed late', () => {
    const frozen = { type: 'server', atMs: 8000, what: 'stopped', how: 'freeze' } as const;
    const late = step(scheduler, 11_000, 'connected.unaudited', 'degraded.assessing', 'link.ended', '#2');
    const found = outagesOf(
      historyOf([...connected(replica, 1000), ...outage(replica, 5000), frozen, late]),
      'replica-0',
      12_000,
    );
    expect(found.map(({ stoppedMs, fromMs, how }) => [stoppedMs, fromMs, how])).toEqual([
      [5000, 5020, 'kill'],
      [8000, 11_000, 'freeze'],
    ]);
  });

  it('that nobody caused by a stop of the server do not take that of the one before', () => {
    const cleanup = step(scheduler, 8000, 'connected.unaudited', 'degraded.surveying', 'survey done', '#2');
    expect(wordsOf([...outage(replica, 5000), cleanup], 9000).at(-1)).toBe('cache not usable, 1.0 s so far');
  });

  it('are known by what is left of them where their beginning was forgotten', () => {
    const [away] = connected(replica, 1000);
    const history = historyOf([{ ...away, state: 'reconnecting.dialing' } as FeedRecord]);
    expect(outagesOf(history, 'replica-0', 3000)).toEqual([]);
    history.truncatedBeforeMs = 2000;
    expect(outagesOf(history, 'replica-0', 3000)).toMatchObject([{ fromMs: 1000, toMs: null }]);
    // One that never had an epoch connects for the first time.
    const first = historyOf([{ ...away, state: 'reconnecting.dialing', epoch: null } as FeedRecord]);
    first.truncatedBeforeMs = 2000;
    expect(outagesOf(first, 'replica-0', 3000)).toEqual([]);
  });

  it('are said to be planned where the host had handed the server back', () => {
    const drained = step(scheduler, 2000, 'connected.serving', 'drained.quiescing', 'drain', '#1');
    expect(wordsOf([drained], 2500)).toEqual(['drained for a planned restart, 500 ms so far']);
  });

  it('are none before the first connection, and none at a stop from it', () => {
    const first = step(scheduler, 500, '', 'reconnecting.dialing', '', '#1');
    const stop = step(scheduler, 2000, 'connected.serving', 'stopping.stoppingRanks', 'stop', '#1');
    expect(outagesOf(historyOf([first, ...connected(replica, 1000), stop]), 'replica-0', 3000)).toEqual([]);
  });
});

describe('the headline', () => {
  it('says how an instance is, since when, and what the last outage was', () => {
    expect(headlineOf({ history: told, instance: 'replica-0', atMs: 18_100 })).toEqual({
      state: 'connected',
      title: 'replica-0: connected',
      since: 'for 12 s',
      epoch: 'epoch #2',
      meaning: 'the cache is used',
      outage: 'last outage: server killed, 1.1 s, recovered 100 ms after the server was back',
      evidence: 'last evidence, 13 s ago: server unreachable: the server closed the connection',
    });
  });

  it('says what is turned off, as long as it is', () => {
    const troubles = (atMs: number, all: { what: string; message: string }[]) =>
      ({ type: 'troubles', atMs, machine: scheduler, all }) as const;
    const history = historyOf([
      ...connected(replica, 1000),
      troubles(2000, [{ what: 'saves are turned off', message: 'rejected: disk full' }]),
      troubles(3000, []),
    ]);
    const said = [1500, 2500, 3500].map((atMs) => headlineOf({ history, instance: 'replica-0', atMs }).evidence);
    expect(said.map((evidence) => evidence.startsWith('saves are turned off'))).toEqual([false, true, false]);
  });

  it('says how far a registration is', () => {
    const { title, meaning, since } = headlineOf({ history: told, instance: 'replica-0', atMs: 6065.01 });
    expect([title, since]).toEqual(['replica-0: re-registering', 'for 55 ms']);
    expect(meaning).toContain('2 of 3 ranks are done');
  });

  it('says no more of what was forgotten than that it knows of no outage since', () => {
    const history = historyOf(connected(replica, 1000));
    const outageSaid = () => headlineOf({ history, instance: 'replica-0', atMs: 9000 }).outage;
    expect(outageSaid()).toBe('no outage so far');
    history.truncatedBeforeMs = 7000;
    expect(outageSaid()).toBe(`no outage since ${clock(7000).slice(0, 8)}`);
  });

  it('waits for what was not told yet', () => {
    expect(headlineOf({ history: createHistory(), instance: '', atMs: 0 }).title).toBe('waiting for the feed');
  });
});

describe('the sequence', () => {
  const sequence = (untilMs: number) =>
    sequenceOf(told, 'replica-0', untilMs, 80).map((row) => `${row.from} to ${row.to}: ${rowInWords(row, 3)}`);

  it('says once what all ranks do, and shows who speaks to whom', () => {
    expect(sequence(7000)).toEqual([
      'server to server: server is listening',
      'scheduler to scheduler: scheduler: connected',
      'ranks to ranks: all 3 ranks: connected',
      'server to server: server stopped (kill)',
      'scheduler to scheduler: scheduler: degraded',
      'ranks to ranks: all 3 ranks: degraded',
      'scheduler to scheduler: scheduler: reconnecting',
      'ranks to ranks: all 3 ranks: reconnecting',
      'server to server: server is listening',
      'scheduler to scheduler: scheduler: re-registering',
      'scheduler to ranks: scheduler: wait #1',
      'scheduler to scheduler: scheduler: quiescing',
      'scheduler to scheduler: scheduler: clearing, waiting',
      'ranks to ranks: all 3 ranks: re-registering',
      'scheduler to scheduler: scheduler: spreading',
      'scheduler to scheduler: scheduler: announcing',
      'scheduler to ranks: scheduler: register #2',
      'scheduler to scheduler: scheduler: sealing, waiting',
      'ranks to ranks: all 3 ranks: connected',
      'ranks to scheduler: all 3 ranks: registered #2',
      'scheduler to scheduler: scheduler: reading back',
      'scheduler to scheduler: scheduler: connected',
    ]);
  });

  it('ends at the moment that is shown, and names the ranks that are ahead', () => {
    expect(sequence(6065.01).at(-1)).toBe('ranks to ranks: ranks 0–1: connected');
  });

  it('is as long as it may be, with the latest', () => {
    const rows = sequenceOf(told, 'replica-0', 7000, 2);
    expect(rows.map(({ what }) => what)).toEqual(['reading back', 'connected']);
  });
});

describe('the hit ratio', () => {
  const sample = (atMs: number, askedBlocks: number, hitBlocks: number, missesDegraded = 0): Cache => ({
    type: 'cache',
    atMs,
    instance: 'replica-0',
    queries: askedBlocks,
    askedBlocks,
    hitBlocks,
    misses: 0,
    missesDegraded,
  });

  it('is that of the blocks asked between two counts, and none where nothing was asked', () => {
    const spans = ratioSpans(
      [sample(0, 0, 0), sample(10, 100, 75), sample(20, 100, 75, 4), sample(30, 200, 75, 4)],
      0,
      100,
    );
    expect(spans.map(({ ratio, missesDegraded }) => [ratio, missesDegraded])).toEqual([
      [0.75, 0],
      [null, 4],
      [0, 0],
    ]);
  });

  it('counts from 0 where a scheduler was replaced', () => {
    expect(ratioSpans([sample(0, 500, 400), sample(10, 20, 5)], 0, 100)).toEqual([
      { fromMs: 0, toMs: 10, ratio: 0.25, missesDegraded: 0 },
    ]);
  });

  it('leaves out what lies outside the window', () => {
    const samples = [sample(0, 0, 0), sample(10, 1, 1), sample(20, 2, 2), sample(30, 3, 3)];
    expect(ratioSpans(samples, 12, 18).map(({ fromMs }) => fromMs)).toEqual([10]);
    expect(ratioSpans(samples, 10, 20).map(({ fromMs }) => fromMs)).toEqual([0, 10, 20]);
    expect(ratioSpans(samples, -9, -1)).toEqual([]);
    expect(ratioSpans(samples, 31, 40)).toEqual([]);
  });

  it('reads no more samples than the window needs', () => {
    const all = Array.from({ length: 10_000 }, (_, at) => sample(at * 10, at, at));
    let reads = 0;
    const counted = new Proxy(all, {
      get: (target, key) => {
        reads += 1;
        return Reflect.get(target, key);
      },
    });
    expect(ratioSpans(counted, 50_001, 50_049)).toHaveLength(5);
    expect(reads).toBeLessThan(100);
  });
});

describe('steps in time', () => {
  const model = { history: told, instance: 'replica-0', selectedRank: 0, fromMs: 1000, endMs: 9000 };

  it('lead to what the scheduler, the selected rank or the server does next, and back', () => {
    expect([1000, 5000, 5020, 5021, 6100].map((atMs) => nextStepMs({ ...model, atMs }, 1))).toEqual([
      5000, 5020, 5021, 6000, 9000,
    ]);
    expect([9000, 6100, 5020, 5010, 1000].map((atMs) => nextStepMs({ ...model, atMs }, -1))).toEqual([
      6100, 6070, 5000, 5000, 1000,
    ]);
  });

  it('leave a trail since the outage began, without the step that is shown', () => {
    const trail = trailOf(schedulerOf(told, 'replica-0'), 5020, 6015);
    expect(trail.map(({ state }) => state)).toEqual(['degraded.assessing', 'reconnecting.dialing']);
  });
});
