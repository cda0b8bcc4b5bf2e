/** Restarts of a server process, by kind and by the moment at which they fall. */
import { describe, expect, it } from 'vitest';
import { hashesOf } from '../support/engine-rank.ts';
import { heldStates, patientBudgets } from '../support/held-states.ts';
import {
  connected,
  endpointOf,
  epochOf,
  inServiceAfter,
  kill,
  provesItself,
  startEngine,
  startInstance,
  startProxy,
  successorOf,
} from '../support/story.ts';
import { Traffic } from '../support/traffic.ts';
import { eventually, within } from '../support/within.ts';

describe('restarts', { timeout: 60_000 }, () => {
  it('S-01: a server that is killed under load costs no request its end: all recompute, then hits come back', async () => {
    const engine = await startEngine();
    const instance = await connected(endpointOf(engine));
    const traffic = new Traffic(instance);
    const running = traffic.run();
    await eventually('hits', () => (traffic.loaded > 2 ? true : null));
    const before = epochOf(instance);
    await kill(engine);
    const missesBefore = traffic.recomputed;
    await eventually('requests that recompute', () => (traffic.recomputed > missesBefore + 20 ? true : null));
    await successorOf(engine);
    await inServiceAfter(instance, before);
    const loadedBefore = traffic.loaded;
    await eventually('hits again', () => (traffic.loaded > loadedBefore + 2 ? true : null));
    traffic.stop();
    await within(10_000, 'the last request', running);
    expect(epochOf(instance)).toBe(before + 1);
    expect(instance.workers.map((worker) => worker.stats.unsafeReleases)).toEqual([0, 0]);
  });

  it.each(heldStates)(
    'S-17: a server that is killed while the scheduler is at $path is recovered from, in an epoch of its own',
    async ({ path, budgets, isPushed = true, isProxied = false, hold }) => {
      const engine = await startEngine();
      const proxy = await startProxy(engine);
      const instance = startInstance(isProxied ? proxy.endpoint : endpointOf(engine), {
        isPushed,
        budgets: { ...patientBudgets, ...budgets },
      });
      const reached = (what: () => boolean) =>
        eventually(
          `${path} and beyond`,
          () => {
            if (!isPushed) instance.step();
            return what() ? true : null;
          },
          15_000,
        );
      await reached(() => instance.scheduler.status.state === 'connected');
      const before = epochOf(instance);
      await hold({ engine, proxy, instance });
      await instance.at(path);
      await kill(engine);
      await successorOf(engine);
      proxy.door = 'open';
      proxy.cut();
      const isBack = () => instance.scheduler.status.state === 'connected' && epochOf(instance) > before;
      await reached(() => isBack() && instance.workers.every(({ status }) => status.state === 'connected'));
      await provesItself(instance);
    },
  );

  it('S-17: of three servers that die one after the other during the re-registration the fourth is taken up, in one step', async () => {
    let engine = await startEngine();
    const instance = await connected(endpointOf(engine));
    const published: number[] = [];
    instance.scheduler.onStatus(({ state, epoch }) => {
      if (state === 'connected' && epoch !== null) published.push(epoch.counter);
    });
    for (let crash = 0; crash < 3; crash += 1) {
      await kill(engine);
      engine = await successorOf(engine, { faults: { methods: { registerContextBatch: { hang: true } } } });
      await instance.at('reRegistering.sealing');
    }
    expect(published).toEqual([]);
    await kill(engine);
    await successorOf(engine);
    await instance.reached('connected');
    expect(published).toEqual([epochOf(instance)]);
    await provesItself(instance);
  });

  it('S-39: a server that ignores SIGTERM is served from until its SIGKILL, which is one recovery', async () => {
    const engine = await startEngine({}, { ignoresSigterm: true });
    const instance = await connected(endpointOf(engine));
    const before = epochOf(instance);
    engine.signal('SIGTERM');
    await provesItself(instance);
    expect(engine.isRunning).toBe(true);
    expect(epochOf(instance)).toBe(before);
    await kill(engine);
    await successorOf(engine);
    await inServiceAfter(instance, before);
    await provesItself(instance);
    expect(epochOf(instance)).toBe(before + 1);
  });

  it('S-42: the empty cache of a restarted server is a miss of its own kind, not an outage', async () => {
    const engine = await startEngine();
    const instance = await connected(endpointOf(engine));
    const before = epochOf(instance);
    const hashes = hashesOf(2);
    await instance.save('kept', [0, 1], hashes);
    await instance.hit('asks', hashes);
    await kill(engine);
    await instance.reached('reconnecting');
    const query = () => instance.scheduler.query({ requestId: 'asks', blockHashes: hashes });
    expect(await query()).toEqual({ kind: 'miss', reason: 'notConnected' });
    await successorOf(engine);
    await inServiceAfter(instance, before);
    expect(await query()).toEqual({ kind: 'miss', reason: 'notCached' });
    expect(instance.scheduler.stats.queries).toMatchObject({ notConnected: 1, notCached: 1, failed: 0 });
  });
});
