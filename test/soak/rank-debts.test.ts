import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/demo/hosts/messages.ts';
import { RankDebts } from './rank-debts.ts';

const epoch = { schedulerBootId: 'boot', counter: 1 };
const NOTHING = { loaded: [], failedLoads: [], computed: [], saved: [] };

function step({
  loads = [],
  saves = [],
  finished = [],
}: {
  readonly loads?: string[];
  readonly saves?: string[];
  readonly finished?: string[];
}): Step {
  const contentsOf = (requestId: string) => ({ requestId, blockIds: [0], blockHashes: [new Uint8Array(32)] });
  return {
    metadata: {
      announcement: { epoch, action: 'register' },
      loads: loads.map((requestId) => ({ requestId, epoch, leases: [] })),
      saves: saves.map((requestId) => ({ ...contentsOf(requestId), epoch, groupId: 0 })),
    },
    expected: [],
    computed: saves.map(contentsOf),
    finishedRequestIds: finished,
  };
}

describe('the debts of a rank', () => {
  test('what it answered is not owed any more', () => {
    const debts = new RankDebts();
    expect(debts.incur(step({ loads: ['a'], saves: ['b'], finished: ['b'] }))).toEqual(NOTHING);
    debts.settle({ loaded: ['a'], failedLoads: [], computed: ['b'], saved: ['b'] });
    expect(debts.forfeit()).toEqual(NOTHING);
  });

  test('a process that ends leaves its loads failed, its computations and finished saves done', () => {
    const debts = new RankDebts();
    debts.incur(step({ loads: ['a'], saves: ['b'] }));
    debts.incur(step({ finished: ['b'] }));
    expect(debts.forfeit()).toEqual({ loaded: ['a'], failedLoads: ['a'], computed: ['b'], saved: ['b'] });
    expect(debts.forfeit()).toEqual(NOTHING);
  });

  test('a save that went down before its request finished ends when it does, once', () => {
    const debts = new RankDebts();
    debts.incur(step({ saves: ['a'] }));
    expect(debts.forfeit()).toMatchObject({ saved: [] });
    expect(debts.incur(step({ finished: ['a', 'b'] }))).toMatchObject({ saved: ['a'] });
    expect(debts.incur(step({ finished: ['a'] }))).toEqual(NOTHING);
  });
});
