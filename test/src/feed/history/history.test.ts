import { describe, expect, it } from 'vitest';
import { History } from '../../../../src/feed/history/history.ts';
import { Standing } from '../../../../src/feed/history/standing.ts';
import type { Cache, FeedRecord, ServerSeen } from '../../../../src/feed/record.ts';
import { flapping, MACHINE, seen, transition } from '../records.ts';

const counted = (atMs: number): Cache => {
  const counts = { queries: atMs, askedBlocks: 0, hitBlocks: 0, misses: 0, missesDegraded: 0 };
  return { type: 'cache', atMs, instance: 'replica', ...counts };
};

/** Records with their numbers, from `first` on. */
const numbered = (first: number, records: readonly FeedRecord[]) =>
  records.map((record, index) => ({ number: first + index, record }));

describe('a bounded history', () => {
  it('loses no step to the counts of a cache, however many of them follow', () => {
    const history = new History(3);
    for (const record of [seen(), ...flapping(2)]) history.push(record);
    for (let atMs = 3; atMs < 100; atMs += 1) history.push(counted(atMs));
    expect(history.first).toBe(0);
    const kept = [...numbered(0, [seen(), ...flapping(2)]), ...numbered(97, [97, 98, 99].map(counted))];
    expect(history.read(0, 100)).toEqual(kept);
    expect(history.read(2, 2)).toEqual(kept.slice(2, 4));
    expect(history.read(50, 1)).toEqual(kept.slice(3, 4));
    expect(history.opening).toEqual([counted(96)]);
    expect(history.truncatedBeforeMs).toBeNull();
  });

  it('keeps no counts from before its oldest step', () => {
    const history = new History(2);
    for (const record of [seen(), counted(1), counted(2), ...flapping(3), counted(4)]) history.push(record);
    expect(history.first).toBe(4);
    expect(history.read(4, 100)).toEqual(numbered(4, [...flapping(3).slice(1), counted(4)]));
    expect(history.opening).toEqual([seen({ atMs: 1, state: 'degraded' }), counted(2)]);
  });

  it('keeps the newest records, and of the others where they led', () => {
    const history = new History(3);
    for (const record of [seen(), ...flapping(6)]) history.push(record);
    expect(history.first).toBe(4);
    expect(history.read(4, 100)).toEqual(numbered(4, flapping(6).slice(3)));
    expect(history.opening).toEqual([seen({ atMs: 3, state: 'degraded' })]);
    expect(history.truncatedBeforeMs).toBe(4);
  });

  it('keeps everything while there is room', () => {
    const history = new History(3);
    for (const record of [seen(), ...flapping(2)]) history.push(record);
    expect([history.first, history.opening, history.truncatedBeforeMs]).toEqual([0, [], null]);
    expect(history.read(1, 1)).toEqual(numbered(1, flapping(1)));
  });

  it('has nothing for a reader that is up to date, and tells one that was too slow', () => {
    const history = new History(2);
    for (const record of flapping(4)) history.push(record);
    expect(history.read(4, 10)).toEqual([]);
    expect(history.read(1, 10)).toBeNull();
  });

  it('tells waiting readers of the next record, and of the end', async () => {
    const history = new History(2);
    const first = history.changed();
    history.push(seen());
    await first;
    const second = history.changed();
    history.end();
    await second;
    expect(history.isEnded).toBe(true);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses to keep %s records', (limit) => {
    expect(() => new History(limit)).toThrow(RangeError);
  });
});

describe('where everything stands', () => {
  it('is told to somebody who knows nothing by as few records', () => {
    const standing = new Standing();
    const stopped: ServerSeen = { type: 'server', atMs: 5, what: 'stopped', how: 'kill' };
    const counts = { askedBlocks: 4, hitBlocks: 2, misses: 1, missesDegraded: 0 };
    const cache: Cache = { type: 'cache', atMs: 6, instance: 'replica', queries: 2, ...counts };
    const evidence = { kind: 'unreachable', message: 'read ECONNRESET' };
    standing.apply(seen());
    standing.apply(seen({ machine: 'replica/rank 0', kind: 'worker', rank: 0 }));
    standing.apply(transition(1, 'reconnecting.dialing', 'connected', { epoch: '#1', evidence }));
    standing.apply(transition(2, 'connected', 'degraded', { epoch: '#2' }));
    standing.apply({ ...cache, queries: 1 });
    standing.apply(cache);
    standing.apply(stopped);
    standing.apply({ type: 'gone', atMs: 7, machine: 'replica/rank 0' });
    const expected = [stopped, seen({ atMs: 2, state: 'degraded', epoch: '#2', evidence }), cache];
    expect(standing.records).toEqual(expected);
    const copy = new Standing();
    for (const record of standing.records) copy.apply(record);
    expect(copy).toEqual(standing);
  });

  it('keeps the counts of an instance while one of its machines is there', () => {
    const standing = new Standing();
    const rank = seen({ machine: 'replica/rank 0', kind: 'worker', rank: 0 });
    const counts = { queries: 2, askedBlocks: 4, hitBlocks: 2, misses: 1, missesDegraded: 0 };
    const cache: Cache = { type: 'cache', atMs: 1, instance: 'replica', ...counts };
    for (const record of [seen(), rank, cache]) standing.apply(record);
    standing.apply({ type: 'gone', atMs: 2, machine: MACHINE });
    expect(standing.records).toEqual([rank, cache]);
    standing.apply({ type: 'gone', atMs: 3, machine: rank.machine });
    expect(standing.records).toEqual([]);
  });

  it('does not invent a machine that it has not seen', () => {
    const standing = new Standing();
    standing.apply(transition(1, 'connected', 'degraded', { machine: MACHINE }));
    expect(standing.records).toEqual([]);
  });
});
