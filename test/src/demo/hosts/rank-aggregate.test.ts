import { describe, expect, test } from 'vitest';
import type { RankOutput } from '../../../../src/demo/hosts/messages.ts';
import { RankAggregate } from '../../../../src/demo/hosts/rank-aggregate.ts';

function output(rank: number, ends: Partial<RankOutput>): RankOutput {
  const said = { sequence: 1, epoch: null, outcome: 'pending', fault: null, idle: true, serves: false } as const;
  const report = { rank, workerBootId: `${rank}`, ...said };
  return { rank, report, loaded: [], saved: [], failedLoads: [], computed: [], ...ends };
}

describe('outputs of all ranks together', () => {
  test('an end counts when the last rank has said so, once', () => {
    const aggregate = new RankAggregate(3);
    expect(aggregate.add(output(0, { loaded: ['a', 'b'], computed: ['c'] })).loaded).toEqual([]);
    expect(aggregate.add(output(2, { loaded: ['a'], computed: ['c'] })).loaded).toEqual([]);
    expect(aggregate.add(output(1, { loaded: ['a'], computed: ['c'] }))).toMatchObject({
      loaded: ['a'],
      computed: ['c'],
    });
    expect(aggregate.add(output(1, { loaded: ['b'] })).loaded).toEqual([]);
    expect(aggregate.add(output(2, { loaded: ['b'] })).loaded).toEqual(['b']);
  });

  test('one rank is enough for a failure', () => {
    const aggregate = new RankAggregate(2);
    expect(aggregate.add(output(0, { loaded: ['a'], failedLoads: ['a'] })).failedLoads).toEqual(['a']);
  });
});
