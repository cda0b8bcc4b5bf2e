import { describe, expect, it } from 'vitest';
import { recordFrom } from '../../../src/feed/record-from.ts';
import { seen, transition } from './records.ts';

const counts = { queries: 1, askedBlocks: 2, hitBlocks: 1, misses: 0, missesDegraded: 0 };
const evidence = { kind: 'unreachable', message: 'read ECONNRESET' };

describe('a record from elsewhere', () => {
  it.each<object>([
    seen(),
    seen({ kind: 'worker', rank: 0, epoch: '#1', evidence }),
    transition(-1.5, 'connected', 'degraded', { evidence, edge: 'connected → degraded' }),
    { type: 'message', atMs: 1, from: 'replica/scheduler', to: 'ranks', name: 'register #1' },
    { type: 'cache', atMs: 1, instance: 'replica', ...counts },
    { type: 'server', atMs: 1, what: 'stopped', how: 'kill' },
    seen({ troubles: [{ what: 'saves are turned off', message: 'disk full' }] }),
    { type: 'troubles', atMs: 1, machine: 'replica/scheduler', all: [] },
    { type: 'gone', atMs: 8.64e15, machine: 'replica/scheduler' },
    { type: 'of another version', atMs: 1 },
    { type: 'constructor', atMs: 1 },
    { ...seen(), 'a field of another version': 1 },
  ])('is taken as it is: %j', (record) => {
    expect(recordFrom(record)).toBe(record);
  });

  it.each<unknown>([
    null,
    'gone',
    [],
    { type: 'of another version' },
    { type: 'of another version', atMs: 1e20 },
    { type: 'gone', atMs: -8.65e15, machine: 'replica/scheduler' },
    { type: 'gone', atMs: 1 },
    { ...seen(), instance: undefined },
    { ...seen(), kind: 'other' },
    { ...seen(), rank: '0' },
    { ...seen(), evidence: { kind: 'unreachable' } },
    { ...transition(1, 'connected', 'degraded'), to: undefined },
    { ...transition(1, 'connected', 'degraded'), evidence: 'lost' },
    { ...transition(1, 'connected', 'degraded'), epoch: 7 },
    { type: 'message', atMs: 1, from: 'replica/scheduler', to: 'ranks' },
    { type: 'cache', atMs: 1, instance: 'replica', ...counts, hitBlocks: null },
    { type: 'server', atMs: 1, how: null },
    { type: 'troubles', atMs: 1, machine: 'replica/scheduler', all: [null] },
    { ...seen(), troubles: [{ what: 'saves' }] },
  ])('is none where something is missing or no such thing: %j', (value) => {
    expect(recordFrom(value)).toBeNull();
  });
});
