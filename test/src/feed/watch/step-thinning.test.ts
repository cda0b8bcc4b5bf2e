import { describe, expect, it } from 'vitest';
import type { Transition } from '../../../../src/feed/record.ts';
import { StepThinning } from '../../../../src/feed/watch/step-thinning.ts';
import { transition } from '../records.ts';

const refused = { kind: 'unreachable', message: 'connect ECONNREFUSED' };

/** Dials every 20 ms from `fromMs` on, each dial refused at once. */
function dials(fromMs: number, untilMs: number): Transition[] {
  const count = Math.floor((untilMs - fromMs) / 20);
  return Array.from({ length: count }, (_, index) => [
    transition(fromMs + index * 20, 'reconnecting.dialing', 'reconnecting.waiting', { evidence: refused }),
    transition(fromMs + index * 20 + 10, 'reconnecting.waiting', 'reconnecting.dialing', { event: 'after backoff' }),
  ]).flat();
}

function thinned(transitions: readonly Transition[]): Transition[] {
  const thinning = new StepThinning();
  return transitions.flatMap((each) => thinning.thinned(each));
}

describe('repeats of a machine within one state', () => {
  it('are told ever more rarely: some dozens in ten minutes of dials', () => {
    const dialled = [transition(0, 'degraded', 'reconnecting.dialing'), ...dials(20, 600_000)];
    expect(dialled.length).toBeGreaterThan(50_000);
    expect(thinned(dialled).length).toBeLessThan(80);
  });

  it('join what comes after them: where the machine had gone silently is told before it leaves', () => {
    const steps = [
      transition(0, 'degraded', 'reconnecting.dialing'),
      ...dials(20, 100),
      transition(100, 'reconnecting.dialing', 'reRegistering', { event: 'link.opened' }),
    ];
    const told = thinned(steps);
    expect(told.map(({ atMs, to }) => [atMs, to])).toEqual([
      [0, 'reconnecting.dialing'],
      [20, 'reconnecting.waiting'],
      [30, 'reconnecting.dialing'],
      [90, 'reconnecting.dialing'],
      [100, 'reRegistering'],
    ]);
  });

  it('are news again in another visit of that state, and where something else was observed', () => {
    const elsewhere = { kind: 'unreachable', message: 'read ECONNRESET' };
    const steps = [
      ...dials(0, 20),
      transition(20, 'reconnecting.dialing', 'reconnecting.waiting', { evidence: elsewhere }),
      transition(30, 'reconnecting.waiting', 'degraded'),
      transition(40, 'degraded', 'reconnecting.dialing'),
      ...dials(50, 70),
    ];
    expect(thinned(steps)).toEqual(steps);
  });

  it('of one top-level state after another are all told', () => {
    const flaps = Array.from({ length: 50 }, (_, index) => [
      transition(index * 2, 'connected', 'degraded'),
      transition(index * 2 + 1, 'degraded', 'connected'),
    ]).flat();
    expect(thinned(flaps)).toEqual(flaps);
  });
});
