/** Instances that register on one device at the same moment: whose copy threads are whose. */
import { expect, it } from 'vitest';
import { holdName } from '../../../src/rpc/holder/held-name.ts';
import { logTable } from '../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import {
  connected,
  endpointOf,
  provesItself,
  startEngine,
  startInstance,
  startProxy,
  stepIntoLoad,
} from '../../support/story.ts';
import type { TestInstance } from '../../support/test-instance.ts';

const WAIT_MS = 20_000;

it('S-81: eight that register at once each prove with their own threads what a lost link left open', async () => {
  const engine = await startEngine({ hasRpcFaults: true });
  const log = new LogRecorder();
  const options = { worldSize: 1, budgets: { registrationTurnMs: 20_000 }, telemetry: { logger: log } };
  const instances = Array.from({ length: 8 }, () => startInstance(endpointOf(engine), options));
  await Promise.all(instances.map((instance) => instance.reached('connected')));
  for (const [i, instance] of instances.entries()) {
    const [worker] = instance.workers;
    await engine.fault({ methods: { save: { loseAck: true, times: 1 } } });
    const requestId = `lost ${i}`;
    instance.scheduler.scheduleSave({ requestId, blockIds: [3], blockHashes: hashesOf(1, requestId) });
    instance.finish(requestId);
    await instance.ended(requestId, 'saved', WAIT_MS);
    expect(worker!.quarantine('save').ended).toMatchObject({ threadsGone: 1, unsafeRelease: 0 });
    // Those after it still have the threads that were started with its own.
    await instance.reached('connected');
  }
  expect(log.lines.filter(({ message }) => message === logTable.proofDelayed.message)).toEqual([]);
}, 120_000);

it('S-81: two that could not wait for each other hold what is in doubt until both registrations are over, and say so', async () => {
  const engine = await startEngine({ hasRpcFaults: true });
  const log = new LogRecorder();
  await engine.fault({ methods: { registerContextBatch: { delayMs: 4_000 } } });
  const port = Number(engine.grpcAddress.split(':').at(-1));
  const turnOfOthers = await holdName(`pegaflow-register-${port}-0`);
  expect(turnOfOthers).not.toBe(null);
  const options = { worldSize: 1, budgets: { registrationTurnMs: 3_000 }, telemetry: { logger: log } };
  const both = [startInstance(endpointOf(engine), options), startInstance(endpointOf(engine), options)];
  const connected: TestInstance[] = [];
  await Promise.all(both.map((one) => one.reached('connected').then(() => connected.push(one))));
  turnOfOthers![Symbol.dispose]();
  // Both waited for the turn and went without it. The threads of the first were started while the Register of the second waited.
  const [first, second] = connected as [TestInstance, TestInstance];
  await engine.fault({ methods: { registerContextBatch: null, save: { loseAck: true, times: 1 } } });
  second.scheduler.scheduleSave({ requestId: 'lost', blockIds: [3], blockHashes: hashesOf(1, 'lost') });
  second.finish('lost');
  second.step();
  const told = () => log.lines.filter(({ message }) => message === logTable.proofDelayed.message);
  await expect.poll(() => told().length, { timeout: WAIT_MS }).toBe(1);
  expect(told()).toMatchObject([{ level: 'warn', fields: { pairs: 2 } }]);
  expect(second.workers[0]!.quarantine('save').blocks).toBe(1);
  await first[Symbol.asyncDispose]();
  await second.ended('lost', 'saved', WAIT_MS);
  expect(second.workers[0]!.quarantine('save').ended).toMatchObject({ threadsGone: 1, unsafeRelease: 0 });
}, 60_000);

it('S-81: one that registers between the Unregister of another one and the end of its threads disturbs neither', async () => {
  const engine = await startEngine();
  const proxy = await startProxy(engine);
  const budgets = { quiesceTimeoutMs: 500, proofTimeoutMs: 20_000 };
  const instance = await connected(endpointOf(engine), { worldSize: 1, rankEndpoint: proxy.endpoint, budgets });
  const [worker] = instance.workers;
  const blockHashes = hashesOf(1, 'twin');
  await instance.save('twin', [0], blockHashes);
  await instance.hit('copied', blockHashes);
  await engine.fault({ copyDelayMs: 10_000, copyAfterCloseMs: 60_000 });
  instance.scheduler.scheduleLoad('copied', [3]);
  await stepIntoLoad(engine, instance);
  await engine.http('POST', `/instances/cleanup?id=${instance.scheduler.instanceId}`);
  proxy.cut();
  await instance.at('reRegistering.proving');
  const other = startInstance(endpointOf(engine), { worldSize: 1 });
  await other.reached('connected');
  expect([instance.scheduler.status.path, worker!.quarantine('load').blocks]).toEqual(['reRegistering.proving', 1]);
  await engine.fault({ copyDelayMs: null });
  await instance.ended('copied', 'loaded', 40_000);
  expect(worker!.quarantine('load')).toMatchObject({ blocks: 0, ended: { strongProof: 0, unsafeRelease: 0 } });
  await instance.reached('connected');
  for (const each of [instance, other]) await provesItself(each);
}, 90_000);
