import { expect, it } from 'vitest';
import { budgetsFrom } from '../../../../machines/index.ts';
import { ABANDONED_QUERIES_MAX, AbandonedQueries } from '../../../../src/connector/scheduler/abandoned-queries.ts';
import { eventually } from '../../../support/within.ts';

it('asks nothing more while as many as may be are unanswered, and goes on with each answer, a refusal included', async () => {
  const abandoned = new AbandonedQueries(budgetsFrom());
  const calls = Array.from({ length: ABANDONED_QUERIES_MAX }, () => Promise.withResolvers<void>());
  for (const [n, { promise }] of calls.entries()) {
    expect(abandoned.isFull, `after ${n}`).toBe(false);
    abandoned.add(promise, () => {});
  }
  expect(abandoned.isFull).toBe(true);
  calls[0]!.resolve();
  await eventually('room', () => (abandoned.isFull ? null : true));
  abandoned.add(new Promise(() => {}), () => {});
  expect(abandoned.isFull).toBe(true);
  calls[1]!.reject(new Error('refused'));
  await eventually('room again', () => (abandoned.isFull ? null : true));
});

it('withdraws what is not answered within its budget, so that queries are tried again', async () => {
  const abandoned = new AbandonedQueries(budgetsFrom({ abandonedQueryTimeoutMs: 20 }));
  for (let n = 0; n < ABANDONED_QUERIES_MAX; n++) {
    const { promise, reject } = Promise.withResolvers<void>();
    abandoned.add(promise, () => reject(new Error('withdrawn')));
  }
  expect(abandoned.isFull).toBe(true);
  await eventually('room', () => (abandoned.isFull ? null : true));
});
