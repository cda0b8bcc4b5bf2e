import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../../src/demo/workload/random.ts';
import { planRestarts } from '../../../../src/demo/workload/restart-plan.ts';

const plan = (seed: number, outage = { fromMs: 0, toMs: 500 }, restarts = 60) =>
  planRestarts({ restarts, requests: 610, outage }, createRandom(seed));

describe('the plan of restarts', () => {
  test('follows from the seed', () => {
    expect(plan(4)).toEqual(plan(4));
    expect(plan(5)).not.toEqual(plan(4));
  });

  test('takes the three kinds in turn', () => {
    expect(plan(1, undefined, 4).map(({ kind }) => kind)).toEqual(['kill', 'kill at once', 'graceful', 'kill']);
  });

  test('draws outages from the whole range, and none for a kill at once', () => {
    const outages = plan(1)
      .filter(({ kind }) => kind !== 'kill at once')
      .map(({ outageMs }) => outageMs);
    expect(Math.min(...outages)).toBeLessThan(100);
    expect(Math.max(...outages)).toBeGreaterThan(400);
    expect(outages.every((outageMs) => outageMs >= 0 && outageMs <= 500)).toBe(true);
    expect(plan(1).every(({ kind, outageMs }) => kind !== 'kill at once' || outageMs === 0)).toBe(true);
  });

  test('spreads the restarts over the requests, with some between any two', () => {
    expect(plan(1, undefined, 60)[0]?.afterRequests).toBe(10);
    expect(plan(1, undefined, 600)[0]?.afterRequests).toBe(5);
  });
});
