/** What proves that a server is done with the blocks of a transfer whose answer was lost. */
import { describe, expect, it } from 'vitest';
import { logTable } from '../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { connected, endpointOf, startEngine, startProxy } from '../../support/story.ts';
import type { TestInstance } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

const PROOF_MS = 15_000;

async function startSave(instance: TestInstance, requestId: string, blockId: number): Promise<void> {
  instance.scheduler.scheduleSave({ requestId, blockIds: [blockId], blockHashes: hashesOf(1, requestId) });
  instance.finish(requestId);
  instance.step();
}

const knowsThreads = (instance: TestInstance) =>
  eventually(
    'the ranks to be in service',
    () => (instance.scheduler.status.path === 'connected.serving' ? true : null),
    20_000,
  );

describe('proof without the death of the server', { timeout: 60_000 }, () => {
  it('a frozen server answers on the old link after the thaw, and the registration outlives it', async () => {
    const engine = await startEngine();
    const budgets = { pingIntervalMs: 200, pingTimeoutMs: 500 };
    const instance = await connected(endpointOf(engine), { worldSize: 2, budgets });
    await knowsThreads(instance);
    engine.signal('SIGSTOP');
    await startSave(instance, 'frozen', 3);
    for (const worker of instance.workers) {
      await eventually('the doubt', () => (worker.quarantine('save').blocks > 0 ? true : null), PROOF_MS);
    }
    engine.signal('SIGCONT');
    await instance.ended('frozen', 'saved', PROOF_MS);
    for (const worker of instance.workers) {
      expect(worker.quarantine('save')).toMatchObject({ blocks: 0, ended: { answer: 1, unsafeRelease: 0 } });
      expect(worker.stats.saves).toMatchObject({ succeeded: 1, failed: 0 });
    }
    await instance.reached('connected');
  });

  it.each(['cut', 'reset'] as const)(
    'after a link that was lost by a %s with saves on it, the end of the server’s threads gives the blocks back',
    async (how) => {
      const engine = await startEngine();
      const proxy = await startProxy(engine);
      const instance = await connected(endpointOf(engine), { worldSize: 1, rankEndpoint: proxy.endpoint });
      await knowsThreads(instance);
      const [worker] = instance.workers;
      await engine.fault({ copyDelayMs: 300 });
      await startSave(instance, 'lost', 3);
      await engine.http('GET', '/faults');
      proxy[how]();
      await engine.fault({ copyDelayMs: null });
      await instance.ended('lost', 'saved', PROOF_MS);
      expect(worker!.quarantine('save')).toMatchObject({ blocks: 0, ended: { threadsGone: 1, unsafeRelease: 0 } });
      expect(worker!.takeReport()).toMatchObject({ doubt: 'none' });
      expect(worker!.takeReport().distrust).toBeUndefined();
      await instance.reached('connected');
      expect(instance.scheduler.status.epoch?.counter).toBe(2);
    },
  );

  it('a rank that lost its link with nothing in doubt stays in its epoch', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const instance = await connected(endpointOf(engine), { worldSize: 1, rankEndpoint: proxy.endpoint });
    await knowsThreads(instance);
    const [worker] = instance.workers;
    proxy.cut();
    await eventually('the loss', () => (worker!.status.state !== 'connected' ? true : null), PROOF_MS);
    await eventually('the rank to be back', () => (worker!.status.state === 'connected' ? true : null), PROOF_MS);
    expect(worker!.status.epoch?.counter).toBe(1);
  });

  it('S-82: a save that was under way when its registration ended, and is never answered, is over with the threads of that registration', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const budgets = { transferStalledAfterMs: 6_000, quiesceTimeoutMs: 500 };
    const instance = await connected(endpointOf(engine), { worldSize: 1, budgets });
    await knowsThreads(instance);
    const [worker] = instance.workers;
    await engine.fault({ methods: { save: { hang: true, times: 1 } } });
    await startSave(instance, 'unanswered', 3);
    const isTaken = async () => JSON.parse((await engine.http('GET', '/faults')).text).methods.save.times === 0;
    await eventually('the save to be taken', async () => ((await isTaken()) ? true : null), PROOF_MS);
    await engine.http('POST', '/instances/cleanup');
    await instance.scheduler.query({ requestId: 'any', blockHashes: hashesOf(1, 'any') });
    await eventually('the next epoch', () => (instance.scheduler.status.epoch?.counter === 2 ? true : null), PROOF_MS);
    await instance.reached('connected');
    expect(worker!.quarantine('save').blocks).toBe(0);
    await instance.ended('unanswered', 'saved', PROOF_MS);
    expect(worker!.quarantine('save')).toMatchObject({ blocks: 0, ended: { threadsGone: 1, unsafeRelease: 0 } });
  });

  it('S-82: a load that the server accepts and never ends is told of, and is over once a later one shows that its queue has moved past it', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const log = new LogRecorder();
    const budgets = { transferStalledAfterMs: 1_000, heldToldAfterMs: 1_000 };
    const instance = await connected(endpointOf(engine), { worldSize: 1, budgets, telemetry: { logger: log } });
    await knowsThreads(instance);
    const [worker] = instance.workers;
    await startSave(instance, 'kept', 3);
    await instance.ended('kept', 'saved', PROOF_MS);
    await instance.hit('never ends', hashesOf(1, 'kept'));
    await engine.fault({ methods: { load: { answerOnly: true, times: 1 } } });
    instance.scheduler.scheduleLoad('never ends', [5]);
    instance.step();
    const told = () => log.lines.filter(({ message }) => message === logTable.transfersStuck.message);
    await eventually('the word on it', () => (told().length > 0 ? true : null), PROOF_MS);
    expect(told()).toMatchObject([{ level: 'warn', fields: { loads: 1, saves: 0, blocks: 1 } }]);
    expect([instance.scheduler.status.epoch?.counter, worker!.quarantine('load').blocks]).toEqual([1, 1]);
    await instance.hit('later', hashesOf(1, 'kept'));
    instance.scheduler.scheduleLoad('later', [6]);
    await instance.ended('later', 'loaded', PROOF_MS);
    await instance.ended('never ends', 'loaded', PROOF_MS);
    expect(worker!.quarantine('load')).toMatchObject({ blocks: 0, ended: { threadsGone: 1, unsafeRelease: 0 } });
    expect(worker!.stats.loads).toMatchObject({ succeeded: 1, failed: 1 });
    await instance.reached('connected');
  });
});
