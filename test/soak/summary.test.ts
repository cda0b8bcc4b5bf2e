import { describe, expect, test } from 'vitest';
import { CallLedger } from './call-ledger.ts';
import type { ProcessGrowth } from './process-growth.ts';
import { summaryOf } from './summary.ts';
import { TrafficTotals } from './traffic-totals.ts';

const MINUTE_MS = 60_000;
const MIB = 1 << 20;

function grownProcesses(changes: Partial<ProcessGrowth>): number {
  const steady = { first: 60 * MIB, last: 60 * MIB };
  const growth: ProcessGrowth = {
    name: 'rank 0',
    pid: 1,
    observedMs: 10 * MINUTE_MS,
    liveBytes: steady,
    nativeBytes: steady,
    descriptors: { first: 25, last: 25 },
    ...changes,
  };
  const { zeros, ok } = summaryOf({
    durationMs: 10 * MINUTE_MS,
    seed: 1,
    rounds: [],
    defects: [],
    calls: new CallLedger({ query: 1, load: 1, hold: 1, request: 1 }, () => {}),
    traffic: new TrafficTotals(() => {}),
    growth: [growth],
    leaks: { leakedProcesses: 0, leakedSharedMemory: 0, leakedSockets: 0 },
  });
  expect(ok).toBe(zeros.grownProcesses === 0);
  return zeros.grownProcesses;
}

describe('the growth of a process', () => {
  test.each<[string, Partial<ProcessGrowth>]>([
    ['of 5 MiB that are alive', { liveBytes: { first: 60 * MIB, last: 65 * MIB } }],
    ['of 20 MiB of native memory', { nativeBytes: { first: 40 * MIB, last: 60 * MIB } }],
    ['of 9 descriptors', { descriptors: { first: 25, last: 34 } }],
  ])('%s fails a soak', (_, changes) => {
    expect(grownProcesses(changes)).toBe(1);
    expect(grownProcesses({ ...changes, name: 'scheduler' })).toBe(1);
  });

  test.each<[string, Partial<ProcessGrowth>]>([
    ['that stays what it was', {}],
    ['that is young', { observedMs: MINUTE_MS, liveBytes: { first: 20 * MIB, last: 60 * MIB } }],
    ['that is the engine, whose cache fills', { name: 'engine', liveBytes: { first: 20 * MIB, last: 60 * MIB } }],
    ['that shrinks', { liveBytes: { first: 60 * MIB, last: 20 * MIB } }],
  ])('of one %s does not', (_, changes) => {
    expect(grownProcesses(changes)).toBe(0);
  });
});
