import { expect, test } from 'vitest';
import type { SchedulerConnectorEvent, WorkerConnectorEvent } from '../../../src/connector/index.ts';
import { own } from '../../support/own.ts';
import { startEngine } from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

test('S-01: listeners are told of an outage and of its end once, in order, and read it in the status at that moment', async () => {
  const engine = await startEngine();
  const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1 }).start());
  const { scheduler } = instance;
  const worker = instance.workers[0]!;
  await instance.reached('connected');
  expect([scheduler.status.outage, worker.status.outage]).toEqual([null, null]);

  const events: SchedulerConnectorEvent[] = [];
  const ofRank: WorkerConnectorEvent[] = [];
  const read: unknown[] = [];
  worker.onEvent((event) => ofRank.push(event));
  scheduler.onEvent((event) => {
    events.push(event);
    if (!event.type.startsWith('outage.')) return;
    read.push([event.type, scheduler.status.outage?.cause ?? null, scheduler.isInService]);
  });
  await engine.http('POST', `/instances/cleanup?id=${scheduler.instanceId}`);
  await scheduler.query({ requestId: 'meets the loss', blockHashes: [new Uint8Array(32)] });
  await eventually('the end of the outage', () => events.find(({ type }) => type === 'outage.ended') ?? null);

  expect(read).toEqual([
    ['outage.began', 'rpc', false],
    ['outage.ended', null, true],
  ]);
  const types = events.map(({ type }) => type);
  const inOrder = ['evidence.found', 'outage.began', 'generation.began', 'generation.ended', 'outage.ended'] as const;
  expect(types.filter((type) => inOrder.some((one) => one === type))).toEqual(inOrder);
  const times = events.map(({ atMs }) => atMs);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  const ended = events.find((event) => event.type === 'outage.ended')!;
  const began = events.find((event) => event.type === 'outage.began')!;
  expect(ended.tookMs).toBe(ended.atMs - began.atMs);
  expect(ended).toMatchObject({ outage: { serverEnd: 'forgot', epochBefore: 1, epochAfter: 2 }, recoveryMs: null });
  expect(ofRank.map(({ type }) => type)).toContain('registration.ended');
});
