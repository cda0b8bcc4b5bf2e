import { Code } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { hashesOf } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import { connected, endpointOf, loadsTaken, startEngine } from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually, within } from '../../support/within.ts';

const hashes = hashesOf(2);

describe('a host that plans a restart', () => {
  it('S-38: drains, the server exits by itself with nobody holding it, and is taken up again on resume', async () => {
    const first = await startEngine();
    const { grpcAddress, httpAddress } = first;
    const instance = own(new TestInstance(`http://${grpcAddress}`).start());
    await instance.reached('connected');
    await instance.save('kept', [0, 1], hashes);
    await instance.scheduler.drain();
    expect(instance.scheduler.status).toMatchObject({ state: 'drained' });
    expect(await instance.scheduler.query({ requestId: 'asks', blockHashes: hashes })).toEqual({
      kind: 'miss',
      reason: 'notConnected',
    });
    first.signal('SIGINT');
    expect(await first.exited).toBe(0);
    await startEngine({ addr: grpcAddress, httpAddr: httpAddress });
    instance.scheduler.resume();
    await instance.reached('connected');
    await instance.save('again', [0, 1], hashes);
    await instance.hit('asks again', hashes);
  });

  it('drains at once where there is nothing to hand back, before the start and after the stop', async () => {
    const instance = own(new TestInstance('http://127.0.0.1:1'));
    await instance.scheduler.drain();
    expect(instance.scheduler.status.state).toBe('reconnecting');
    instance.start();
    await instance.scheduler.drain();
    expect(instance.scheduler.status.state).toBe('drained');
    expect(await instance.scheduler.stop()).toEqual({ kind: 'clean' });
    await instance.scheduler.drain();
    instance.scheduler.resume();
    expect(instance.scheduler.status.state).toBe('stopped');
  });

  it('leaves a server alone for as long as it asks', async () => {
    const pushback = { code: Code.ResourceExhausted, message: 'one thread, long queue', retryPushbackMs: 300 };
    const engine = await startEngine({ faults: { methods: { registerContextBatch: { refuse: pushback, times: 1 } } } });
    const sinceMs = performance.now();
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1 }).start());
    await eventually('the pause', () => (instance.scheduler.status.path === 'reRegistering.backingOff' ? true : null));
    expect(instance.scheduler.status.fault).toMatchObject({ kind: 'rejected', retryAfterMs: 300 });
    await instance.reached('connected');
    expect(performance.now() - sinceMs).toBeGreaterThan(300);
  });
});

describe('a server that announces its end', () => {
  it('S-38: ends well what is under way, and goes only then', async () => {
    const engine = await startEngine();
    const instance = await connected(endpointOf(engine));
    for (const rank of instance.memory) for (const block of [0, 1, 2, 3]) rank.fill(block, block);
    await instance.save('kept', [0, 1], hashes);
    await instance.hit('loads', hashes);
    await loadsTaken(engine, 2);
    await engine.fault({ copyDelayMs: 500 });
    expect(instance.scheduler.scheduleLoad('loads', [6, 7])).toBe(true);
    const save = { requestId: 'saves', blockIds: [2, 3], blockHashes: hashesOf(2, 'saved') };
    expect(instance.scheduler.scheduleSave(save)).toBe(true);
    instance.finish('saves');
    instance.step();
    await loadsTaken(engine, 4);
    engine.signal('SIGINT');
    const told: string[] = [];
    await eventually('both ends', () => {
      const { loaded, saved, failedLoads } = instance.step();
      expect(failedLoads).toEqual([]);
      told.push(...loaded, ...saved);
      return told.length === 2 ? true : null;
    });
    expect(told.sort()).toEqual(['loads', 'saves']);
    expect(await within(15_000, 'the exit', engine.exited)).toBe(0);
    for (const [rank, memory] of instance.memory.entries()) {
      expect([6, 7].map((block, index) => memory.holds(block, index))).toEqual([true, true]);
      expect(instance.workers[rank]!.stats).toMatchObject({
        loads: { succeeded: 1, failed: 0 },
        saves: { succeeded: 2, failed: 0 },
      });
    }
  });
});
