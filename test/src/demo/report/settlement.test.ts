import { describe, expect, test } from 'vitest';
import type { DemoEvent } from '../../../../src/demo/journal.ts';
import { countHungCalls, countReportedOtherThanOnce, HUNG_AFTER_MS } from '../../../../src/demo/report/settlement.ts';

const requestId = 'r';

const life: readonly DemoEvent[] = [
  { type: 'request.arrived', atMs: 0, requestId, blocks: 2 },
  { type: 'query.sent', atMs: 1, requestId, queryId: 1 },
  { type: 'query.answered', atMs: 2, requestId, queryId: 1, result: 'hit', blocks: 2, reason: null },
  { type: 'load.scheduled', atMs: 3, requestId, blocks: 2 },
  { type: 'load.ended', atMs: 4, requestId, succeeded: true },
  { type: 'request.finished', atMs: 5, requestId, held: true },
  { type: 'request.freed', atMs: 6, requestId },
];

const without = (type: DemoEvent['type']) => life.filter((event) => event.type !== type);
const delayed = (type: DemoEvent['type']) =>
  life.map((event) => (event.type === type ? { ...event, atMs: event.atMs + HUNG_AFTER_MS } : event));
const repeated = (type: DemoEvent['type']) => [...life, ...life.filter((event) => event.type === type)];

describe('settlement', () => {
  test('a whole life has nothing hung and every end once', () => {
    expect([countHungCalls(life), countReportedOtherThanOnce(life)]).toEqual([0, 0]);
  });

  test.each(['query.answered', 'load.ended', 'request.freed'] as const)('without %s a call hangs', (type) => {
    expect(countHungCalls(without(type))).toBe(1);
    expect(countHungCalls(delayed(type))).toBe(1);
  });

  test.each(['load.ended', 'request.finished', 'request.freed'] as const)('%s is reported exactly once', (type) => {
    expect(countReportedOtherThanOnce(without(type))).toBe(1);
    expect(countReportedOtherThanOnce(repeated(type))).toBe(1);
  });

  test('the end of a load that nobody scheduled counts', () => {
    expect(countReportedOtherThanOnce(without('load.scheduled'))).toBe(1);
  });

  test('a request that was not held must not be freed', () => {
    const notHeld = life.map((event) => (event.type === 'request.finished' ? { ...event, held: false } : event));
    expect(countReportedOtherThanOnce(notHeld)).toBe(1);
  });
});
