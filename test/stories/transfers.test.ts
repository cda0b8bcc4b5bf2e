/** Loads and saves whose end nobody knows for a while. */
import { describe, expect, it } from 'vitest';
import { hashesOf } from '../support/engine-rank.ts';
import { connected, endpointOf, startEngine } from '../support/story.ts';
import { eventually, within } from '../support/within.ts';

const hashes = hashesOf(3);

async function withKeptBlocks(budgets = {}) {
  const engine = await startEngine();
  const instance = await connected(endpointOf(engine), { worldSize: 1, budgets });
  const [memory, worker] = [instance.memory[0]!, instance.workers[0]!];
  for (const block of [0, 1, 2]) memory.fill(block, block + 1);
  await instance.save('kept', [0, 1, 2], hashes);
  await instance.hit('asks', hashes);
  return { engine, instance, memory, worker };
}

describe('transfers of unknown end', { timeout: 60_000 }, () => {
  it('S-20: a load that is given up by time, as the host declared, and is finished later is told once, as failed, and counted as unsafe', async () => {
    const { engine, instance, memory, worker } = await withKeptBlocks({ unsafeReleaseAfterMs: 1_200 });
    await engine.fault({ copyDelayMs: 600, copyAfterCloseMs: 10_000 });
    instance.scheduler.scheduleLoad('asks', [4, 5, 6]);
    expect(await instance.ended('asks', 'loaded')).toMatchObject({ failedLoads: ['asks'] });
    expect(worker.stats).toMatchObject({ loads: { succeeded: 0, failed: 1 }, unsafeReleases: 1 });
    await eventually('the late end of the copy', () => (memory.holds(4, 1) ? true : null));
    expect(instance.step()).toMatchObject({ loaded: [], failedLoads: [] });
    expect(worker.stats.loads).toMatchObject({ succeeded: 0, failed: 1 });
  });

  it('S-21: a preempted save whose link is lost keeps its blocks until its server is proved dead, then lets go of them safely', async () => {
    const { engine, instance, worker } = await withKeptBlocks({ pingIntervalMs: 50, pingTimeoutMs: 1_000 });
    await engine.fault({ copyDelayMs: 60_000 });
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [3], blockHashes: hashesOf(1, 'preempted') });
    instance.step();
    let isSettled = false;
    const preempted = worker.handlePreemptions(['saves']).finally(() => {
      isSettled = true;
    });
    engine.signal('SIGSTOP');
    await eventually('the lost link', () => (worker.status.state === 'reconnecting' ? true : null));
    expect({ isSettled, isIdle: worker.takeReport().idle }).toEqual({ isSettled: false, isIdle: false });
    engine.signal('SIGKILL');
    expect(await within(10_000, 'the preemption', preempted)).toEqual({ unsafe: [] });
    expect(worker.stats.unsafeReleases).toBe(0);
  });

  it('S-22: a request that has loaded and saved when it ends is acted on once, in one step', async () => {
    const { instance, worker } = await withKeptBlocks();
    instance.scheduler.scheduleLoad('asks', [4, 5, 6]);
    instance.scheduler.scheduleSave({ requestId: 'asks', blockIds: [3], blockHashes: hashesOf(1, 'both') });
    const early = instance.step();
    expect([...early.loaded, ...early.saved]).toEqual([]);
    expect(instance.finish('asks')).toBe(true);
    await eventually('both ends', () => (worker.takeReport().idle ? true : null));
    const steps = [instance.step(), instance.step(), instance.step()];
    expect(steps.flatMap(({ loaded, saved }) => [...loaded, ...saved])).toEqual(['asks']);
  });
});
