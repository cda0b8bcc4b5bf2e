import { describe, expect, test } from 'vitest';
import type { DemoEvent } from '../../src/demo/journal.ts';
import { CallLedger } from './call-ledger.ts';

function ledgerOf(...events: DemoEvent[]) {
  const defects: string[] = [];
  const ledger = new CallLedger({ query: 10, load: 10, hold: 10, request: 50 }, (defect) => defects.push(defect));
  for (const event of events) ledger.observe(event);
  return { ledger, defects };
}

const requestId = 'a';
const arrived = { type: 'request.arrived', atMs: 0, requestId, blocks: 1 } as const;
const scheduled = { type: 'load.scheduled', atMs: 1, requestId, blocks: 1 } as const;
const loaded = { type: 'load.ended', atMs: 2, requestId, succeeded: true } as const;
const finished = { type: 'request.finished', atMs: 3, requestId, held: true } as const;
const freed = { type: 'request.freed', atMs: 4, requestId } as const;

describe('the ledger of calls', () => {
  test('a call that ends once and in time is forgotten', () => {
    const { ledger, defects } = ledgerOf(arrived, scheduled, loaded, finished, freed);
    ledger.close();
    expect(defects).toEqual([]);
    expect(ledger).toMatchObject({ isEmpty: true, hung: 0, reportedOtherThanOnce: 0 });
  });

  test.each<[string, DemoEvent[], string]>([
    ['an end without a beginning', [arrived, loaded], 'load of a ended without having begun'],
    ['a second end', [arrived, finished, freed, freed], 'hold of a ended without having begun'],
    ['a second beginning', [arrived, scheduled, scheduled, loaded, finished, freed], 'load of a began twice'],
  ])('%s is a miscount', (_, events, defect) => {
    const { ledger, defects } = ledgerOf(...events);
    expect(ledger.reportedOtherThanOnce).toBe(1);
    expect(defects).toEqual([defect]);
  });

  test('a call that ends late, or never, is hung', () => {
    const { ledger, defects } = ledgerOf(arrived, scheduled, { ...loaded, atMs: 12 }, { ...finished, atMs: 13 });
    ledger.close();
    expect(ledger.hung).toBe(2);
    expect(defects).toEqual(['load of a took 11 ms', 'hold of a did not end']);
  });

  test('an end that nothing could prove in time is held, and a query without an answer is hung all the same', () => {
    const { ledger } = ledgerOf(arrived, scheduled, finished);
    ledger.isUnprovable = true;
    ledger.observe({ ...loaded, atMs: 12 });
    ledger.observe({ type: 'query.sent', atMs: 12, requestId, queryId: 1 });
    ledger.observe({
      type: 'query.answered',
      atMs: 23,
      requestId,
      queryId: 1,
      result: 'miss',
      blocks: 0,
      reason: 'heldLimit',
    });
    expect(ledger).toMatchObject({ held: 1, hung: 1 });
    ledger.abandon();
    expect(ledger).toMatchObject({ held: 2, hung: 1, isEmpty: true });
  });

  test('what a killed process had begun is given up, and its requests are named', () => {
    const { ledger, defects } = ledgerOf(arrived, scheduled);
    expect(ledger.abandon()).toEqual([requestId]);
    ledger.close();
    expect(defects).toEqual([]);
  });
});
