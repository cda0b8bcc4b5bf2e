import { describe, expect, test } from 'vitest';
import { createOracle, type ObservedSave, VISIBILITY_MS } from '../../../../src/demo/report/oracle.ts';
import type { Outage } from '../../../../src/demo/report/outages.ts';

const blocks = ['a', 'b', 'c'];

function save(saved: readonly string[], startedAtMs: number, endedAtMs: number | null): ObservedSave {
  return { blocks: saved, startedAtMs, slots: [startedAtMs, startedAtMs], endedAtMs };
}

function kill(stoppedAtMs: number, noticedAtMs: number, recoveredAtMs: number): Outage {
  return { stoppedAtMs, stopKind: 'kill', outageMs: 0, noticedAtMs, listeningAtMs: recoveredAtMs - 5, recoveredAtMs };
}

const ask = (sentAtMs: number, answeredAtMs = sentAtMs + 1) => ({ blocks, sentAtMs, answeredAtMs });

describe('the oracle', () => {
  test('expects the leading blocks whose saves have ended', () => {
    const oracle = createOracle([save(['a', 'b'], 10, 20), save(['d'], 10, 20)], []);
    expect(oracle(ask(20 + VISIBILITY_MS))).toEqual({ atLeast: 2, atMost: 2 });
  });

  test('a gap ends the run', () => {
    const oracle = createOracle([save(['a', 'c'], 10, 20)], []);
    expect(oracle(ask(5_000))).toEqual({ atLeast: 1, atMost: 1 });
  });

  test('a save in flight, or just ended, may count and need not', () => {
    const oracle = createOracle([save(['a'], 10, 20), save(['b'], 5_000, 5_100), save(['c'], 5_000, null)], []);
    expect(oracle(ask(5_050))).toEqual({ atLeast: 1, atMost: 3 });
    expect(oracle(ask(5_100 + VISIBILITY_MS - 1))).toEqual({ atLeast: 1, atMost: 3 });
    expect(oracle(ask(5_100 + VISIBILITY_MS))).toEqual({ atLeast: 2, atMost: 3 });
  });

  test('a save that a rank refused cannot count', () => {
    const oracle = createOracle([{ blocks: ['a'], startedAtMs: 10, slots: [10, null], endedAtMs: 20 }], []);
    expect(oracle(ask(5_000))).toEqual({ atLeast: 0, atMost: 0 });
  });

  test('a block is whole once each rank has handed it over, with whichever save, and nothing demands it', () => {
    const oneRank: ObservedSave = { blocks: ['a'], startedAtMs: 10, slots: [10, null], endedAtMs: 20 };
    const theOther: ObservedSave = { blocks: ['a'], startedAtMs: 30, slots: [null, 40], endedAtMs: 50 };
    const oracle = createOracle([oneRank, theOther], []);
    expect(oracle(ask(38))).toEqual({ atLeast: 0, atMost: 0 });
    expect(oracle(ask(5_000))).toEqual({ atLeast: 0, atMost: 1 });
    const restarted = createOracle([oneRank, theOther], [kill(24, 25, 28)]);
    expect(restarted(ask(5_000))).toEqual({ atLeast: 0, atMost: 0 });
  });

  test('a save that was submitted after the answer cannot count', () => {
    const oracle = createOracle([save(['a'], 102, 110)], []);
    expect(oracle(ask(100, 101))).toEqual({ atLeast: 0, atMost: 0 });
  });

  test('nothing is expected while the outage is known', () => {
    const oracle = createOracle([save(blocks, 10, 20)], [kill(1_000, 1_010, 2_000)]);
    expect(oracle(ask(1_500))).toEqual({ atLeast: 0, atMost: 0 });
  });

  test('a stop empties the cache, and saves after the recovery fill it again', () => {
    const oracle = createOracle([save(blocks, 10, 20), save(['a'], 2_100, 2_200)], [kill(1_000, 1_010, 2_000)]);
    expect(oracle(ask(2_050))).toEqual({ atLeast: 0, atMost: 0 });
    expect(oracle(ask(5_000))).toEqual({ atLeast: 1, atMost: 1 });
  });

  test('a save that ended before the next engine listened cannot count', () => {
    const oracle = createOracle([save(['a'], 1_100, 1_900)], [kill(1_000, 1_010, 2_000)]);
    expect(oracle(ask(5_000))).toEqual({ atLeast: 0, atMost: 0 });
  });

  test('a save that met the outage may count and need not', () => {
    const oracle = createOracle([save(['a'], 1_990, 2_100)], [kill(1_000, 1_010, 2_000)]);
    expect(oracle(ask(5_000))).toEqual({ atLeast: 0, atMost: 1 });
  });

  test('a save that one rank handed over in the outage and one after it may count and need not', () => {
    const oracle = createOracle([{ ...save(['a'], 1_990, 2_100), slots: [1_990, 2_010] }], [kill(1_000, 1_010, 2_000)]);
    expect(oracle(ask(5_000))).toEqual({ atLeast: 0, atMost: 1 });
  });

  test('a save counts from when the last rank handed it over', () => {
    const oracle = createOracle([{ ...save(['a'], 90, 200), slots: [90, 120] }], []);
    expect(oracle(ask(100, 101))).toEqual({ atLeast: 0, atMost: 0 });
    expect(oracle(ask(120, 121))).toEqual({ atLeast: 0, atMost: 1 });
  });

  test('a query that meets the stop may be answered from what was there before it', () => {
    const oracle = createOracle([save(blocks, 10, 20)], [kill(1_000, 1_010, 2_000)]);
    expect(oracle(ask(999, 1_002))).toEqual({ atLeast: 0, atMost: 3 });
    expect(oracle(ask(1_005, 1_006))).toEqual({ atLeast: 0, atMost: 3 });
  });

  test("somebody else's server may have lost everything in an outage, and need not have", () => {
    const outage: Outage = { ...kill(0, 1_000, 2_000), stoppedAtMs: null, stopKind: 'elsewhere' };
    const oracle = createOracle([save(blocks, 10, 20), save(['a'], 2_100, 2_200)], [outage]);
    expect(oracle(ask(999 - VISIBILITY_MS))).toEqual({ atLeast: 0, atMost: 3 });
    expect(oracle(ask(1_500))).toEqual({ atLeast: 0, atMost: 0 });
    expect(oracle(ask(2_050))).toEqual({ atLeast: 0, atMost: 3 });
    expect(oracle(ask(5_000))).toEqual({ atLeast: 1, atMost: 3 });
  });

  test('a lost registration without a stop empties nothing', () => {
    const lost: Outage = { ...kill(0, 1_000, 1_100), stoppedAtMs: null, stopKind: null };
    const oracle = createOracle([save(blocks, 10, 20)], [lost]);
    expect(oracle(ask(1_050))).toEqual({ atLeast: 0, atMost: 0 });
    expect(oracle(ask(1_200))).toEqual({ atLeast: 3, atMost: 3 });
  });
});
