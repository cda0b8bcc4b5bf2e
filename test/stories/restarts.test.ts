/** Restarts of a server process, by kind and by the moment at which they fall. */
import { describe, expect, it } from 'vitest';
import type { AnyStateNode } from 'xstate';
import { schedulerMachine } from '../../machines/index.ts';
import { hashesOf } from '../support/engine-rank.ts';
import { heldStates, passingStates, patientBudgets } from '../support/held-states.ts';
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

  it('S-17: a server that is killed while the scheduler is at any state of a recovery is recovered from, in an epoch of its own', {
    timeout: 180_000,
  }, async () => {
    let engine = await startEngine({ hasRpcFaults: true });
    for (const held of heldStates) {
      const { path, budgets, isPushed = true, isProxied = false } = held;
      const proxy = await startProxy(engine);
      const endpoint = isProxied ? proxy.endpoint : endpointOf(engine);
      const instance = startInstance(endpoint, { isPushed, budgets: { ...patientBudgets, ...budgets } });
      const inServiceAfter = (counter: number) =>
        eventually(
          `service after ${path}`,
          () => {
            if (!isPushed) instance.step();
            const isBack = instance.scheduler.status.state === 'connected' && epochOf(instance) > counter;
            return isBack && instance.workers.every(({ status }) => status.state === 'connected') ? true : null;
          },
          15_000,
        );
      await inServiceAfter(0);
      const before = epochOf(instance);
      await held.hold({ engine, proxy, instance });
      await instance.at(path);
      await kill(engine);
      engine = await successorOf(engine, { hasRpcFaults: true });
      proxy.door = 'open';
      proxy.cut();
      instance.scheduler.resume();
      await inServiceAfter(before);
      await provesItself(instance);
      await instance[Symbol.asyncDispose]();
    }
  });

  it('S-17: every state of the machine is among those that are held, or known to pass', () => {
    const leaves = (node: AnyStateNode): string[] => {
      const children = Object.values(node.states);
      return children.length === 0 ? [node.path.join('.')] : children.flatMap(leaves);
    };
    const known = [...heldStates.map(({ path }) => path), ...passingStates];
    expect(known.toSorted()).toEqual(leaves(schedulerMachine.root).toSorted());
  });

  it('S-14 S-17: of three servers that die one after the other during the re-registration the fourth is taken up, in one step', async () => {
    let engine = await startEngine();
    // The ranks meet each server before the scheduler does. One that registered then would hold up the clear.
    const instance = await connected(endpointOf(engine), { budgets: { rankRedialFirstMs: 1, rankRedialMaxMs: 2 } });
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
