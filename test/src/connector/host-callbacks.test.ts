/** What a host gives us to call may throw, call us back, or come at an odd time. */
import { describe, expect, it } from 'vitest';
import { own } from '../../support/own.ts';
import {
  connected,
  endpointOf,
  epochOf,
  inServiceAfter,
  kill,
  provesItself,
  startEngine,
  stepIntoLoad,
  successorOf,
} from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { collectUncaught } from '../../support/uncaught.ts';
import { warmHashes, warmRank } from '../../support/warm-rank.ts';
import { eventually, within } from '../../support/within.ts';

const boom = (where: string) => () => {
  throw new Error(where);
};
/** The first call is made at once, while the listener is being added. */
const boomLater = (where: string) => {
  let calls = 0;
  return () => {
    calls += 1;
    if (calls > 1) throw new Error(where);
  };
};
const said = (uncaught: readonly unknown[]) => new Set(uncaught.map((error) => (error as Error).message));

describe('a callback of the host that throws', () => {
  it('keeps nothing from the connector, and is told as an uncaught error', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    const { scheduler } = instance;
    const uncaught = collectUncaught();
    const unlisten = [
      worker.onSettled(boom('onSettled')),
      worker.onReport(boomLater('onReport')),
      worker.onStatus(boom('worker.onStatus')),
      scheduler.onStatus(boom('scheduler.onStatus')),
      scheduler.onAnnounce(boomLater('onAnnounce')),
    ];
    const stale = { schedulerBootId: 'another', counter: 1 };
    worker.startLoad(['a', 'b', 'c'].map((requestId) => ({ requestId, epoch: stale, leases: [] })));
    expect(worker.takeFinished([]).loaded).toEqual(['a', 'b', 'c']);
    await engine.fault({ copyDelayMs: 60_000 });
    expect(scheduler.scheduleLoad('loads', [4, 5, 6])).toBe(true);
    await stepIntoLoad(engine, instance);
    await kill(engine);
    expect(await instance.ended('loads', 'loaded')).toMatchObject({ failedLoads: ['loads'] });
    const before = epochOf(instance);
    await successorOf(engine);
    await inServiceAfter(instance, before);
    await provesItself(instance);
    for (const stop of unlisten) stop();
    const where = ['onSettled', 'onReport', 'worker.onStatus', 'scheduler.onStatus', 'onAnnounce'];
    await eventually('every word', () => (said(uncaught).size === where.length ? true : null));
    expect(said(uncaught)).toEqual(new Set(where));
  });

  it('does not stop the machine that it inspects', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    const uncaught = collectUncaught();
    const unlisten = [instance.scheduler.inspect(boom('function')), worker.inspect({ next: boom('observer') })];
    const before = epochOf(instance);
    await kill(engine);
    await successorOf(engine);
    await inServiceAfter(instance, before);
    await provesItself(instance);
    for (const stop of unlisten) stop();
    await eventually('both words', () => (said(uncaught).size === 2 ? true : null));
  });

  it('does not keep a stop from giving everything back', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine, { budgets: { stopTimeoutMs: 400 } });
    await engine.fault({ copyDelayMs: 60_000 });
    await instance.hit('more', warmHashes);
    expect(instance.scheduler.scheduleLoad('loads', [4, 5])).toBe(true);
    expect(instance.scheduler.scheduleLoad('more', [6, 7])).toBe(true);
    await stepIntoLoad(engine, instance);
    const uncaught = collectUncaught();
    worker.onUnsafeRelease(boom('onUnsafeRelease'));
    expect(await within(5_000, 'the stop', worker.stop())).toEqual({
      kind: 'unconfirmed',
      requestIds: ['loads', 'more'],
    });
    expect(worker.stats.loads.failed).toBe(2);
    await eventually('both words', () => (uncaught.length === 2 ? true : null));
  });
});

describe('a host that calls back', () => {
  it('drains from within a callback: that ends when the ranks have finished, as from anywhere', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine);
    await engine.fault({ copyDelayMs: 300 });
    expect(instance.scheduler.scheduleLoad('loads', [4, 5, 6])).toBe(true);
    await stepIntoLoad(engine, instance);
    const drained = new Promise<void>((resolve, reject) => {
      const unlisten = instance.scheduler.onStatus(() => {
        unlisten();
        instance.scheduler.drain().then(resolve, reject);
      });
      instance.scheduler.acceptReport({ ...worker.takeReport(), outcome: 'lost' });
    });
    await within(5_000, 'the drain', drained);
    expect({ isIdle: worker.takeReport().idle, path: instance.scheduler.status.path }).toEqual({
      isIdle: true,
      path: 'drained.sessionReleased',
    });
  });

  it('starts after the stop: nothing is begun that nobody could stop', async () => {
    const engine = await startEngine();
    const instance = own(new TestInstance(endpointOf(engine)));
    expect(await instance.scheduler.stop()).toEqual({ kind: 'clean' });
    instance.start();
    await connected(endpointOf(engine));
    expect(engine.log).not.toContain(`Session opened: instance_id=${instance.scheduler.instanceId}`);
  });
});
