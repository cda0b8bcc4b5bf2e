import { describe, expect, it } from 'vitest';
import charts from '../../src/feed/charts.json' with { type: 'json' };
import { duration, offset, rankRange } from '../../src/page/format.js';
import { accept, createHistory } from '../../src/page/history.js';
import { advance, createPlayer, follow, seek, togglePlay } from '../../src/page/player.js';
import { isWithin, lookOf, STATES, topOf } from '../../src/page/states.js';
import { tickMs, timelineRows } from '../../src/page/timeline/timeline-rows.js';
import { windowOf } from '../../src/page/timeline/zoom.js';
import { connected } from './support/synthetic-outage.ts';

describe('what is shown', () => {
  it('has a look of its own for every outermost state of both machines', () => {
    const tops = [...charts.scheduler.nodes, ...charts.worker.nodes]
      .filter(({ kind, parent }) => parent === null && kind !== 'start' && kind !== 'any')
      .map(({ path }) => path);
    for (const top of tops) expect(Object.keys(STATES)).toContain(top);
    const looks = Object.keys(STATES).map(lookOf);
    expect(new Set(looks.map(({ icon }) => icon)).size).toBe(looks.length);
    expect(lookOf('somethingNew.inside').label).toBe('unknown');
    expect(lookOf('constructor').label).toBe('unknown');
  });

  it('tells a state from what it lies in', () => {
    expect([topOf('connected'), topOf('reRegistering.sealing.waiting')]).toEqual(['connected', 'reRegistering']);
    expect([isWithin('a.b', 'a'), isWithin('a.b', ''), isWithin('ab', 'a')]).toEqual([true, true, false]);
  });

  it('says durations, moments and ranks as people do', () => {
    expect([0.04, 9.96, 96.4, 1400, 12_000, 185_000, 7_440_000].map(duration)).toEqual([
      '0.0 ms',
      '10 ms',
      '96 ms',
      '1.4 s',
      '12 s',
      '3 min 5 s',
      '2 h 4 min',
    ]);
    expect([0, 7200, 3_723_400].map(offset)).toEqual(['0:00.0', '0:07.2', '1:02:03.4']);
    expect([[3], [2, 0, 1, 5], [0, 2, 4, 6, 8]].map(rankRange)).toEqual([
      'rank 3',
      'ranks 0–2, 5',
      'ranks 0, 2, 4, 6, … (5 of them)',
    ]);
  });
});

describe('the timeline', () => {
  const rowsOf = (ranks: number, selectedRank: number) => {
    const history = createHistory();
    for (const record of connected({ instance: 'i', ranks }, 0)) accept(history, record);
    return timelineRows(history, 'i', selectedRank);
  };

  it('names every rank where there is room', () => {
    expect(rowsOf(2, 0).rows.map(({ label }) => label)).toEqual([
      '',
      'server',
      'scheduler',
      'rank 0',
      'rank 1',
      'hit ratio',
    ]);
  });

  it('shows many ranks as thin lines in the room of few, and the selected one by name', () => {
    const { rows, height } = rowsOf(64, 37);
    expect(rows.map(({ label }) => label).filter(Boolean)).toEqual([
      'server',
      'scheduler',
      'rank 37',
      '64 ranks',
      'hit ratio',
    ]);
    expect(height).toBeLessThan(250);
    expect(rowsOf(512, 37).height).toBe(height);
  });

  it('has marks that are far enough apart', () => {
    expect([tickMs(0.01, 100), tickMs(9, 100), tickMs(100, 100)]).toEqual([1, 1000, 10_000]);
  });

  it('shows the last seconds, everything, or a span with what is around it', () => {
    const times = { fromMs: 0, endMs: 100_000, atMs: 100_000 };
    expect(windowOf({ kind: 'last', ms: 30_000 }, times)).toEqual({ fromMs: 70_000, toMs: 100_000 });
    expect(windowOf({ kind: 'last', ms: 30_000 }, { ...times, atMs: 50_000 })).toEqual({
      fromMs: 27_500,
      toMs: 57_500,
    });
    expect(windowOf({ kind: 'last', ms: 30_000 }, { ...times, atMs: 1000 })).toEqual({ fromMs: 0, toMs: 30_000 });
    expect(windowOf({ kind: 'last', ms: 120_000 }, times)).toEqual({ fromMs: 0, toMs: 100_000 });
    expect(windowOf({ kind: 'all' }, times)).toEqual({ fromMs: 0, toMs: 100_000 });
    expect(windowOf({ kind: 'all' }, { fromMs: 0, endMs: 10, atMs: 0 })).toEqual({ fromMs: -4990, toMs: 10 });
    expect(windowOf({ kind: 'span', fromMs: 100, toMs: 200 }, times)).toEqual({ fromMs: 75, toMs: 225 });
  });
});

describe('the player', () => {
  const range = { fromMs: 100, endMs: 1100 };

  it('moves with time at its speed, and stops at the end', () => {
    const player = createPlayer();
    seek(player, 200, range);
    player.speed = 0.1;
    togglePlay(player, range);
    advance(player, 1000, range.endMs);
    expect([player.atMs, player.isPlaying]).toEqual([300, true]);
    advance(player, 100_000, range.endMs);
    expect([player.atMs, player.isPlaying]).toEqual([1100, false]);
  });

  it('begins anew from the end, and stays within what is known', () => {
    const player = createPlayer();
    togglePlay(player, range);
    expect(player.atMs).toBe(100);
    seek(player, 5000, range);
    expect(player.atMs).toBe(1100);
  });

  it('does not move while it follows the newest or is paused', () => {
    const player = createPlayer();
    advance(player, 1000, range.endMs);
    expect(player.atMs).toBe(null);
    seek(player, 500, range);
    advance(player, 1000, range.endMs);
    expect(player.atMs).toBe(500);
    follow(player);
    expect(player).toMatchObject({ atMs: null, isPlaying: false });
  });
});
