import { describe, expect, it } from 'vitest';
import type { UnsafeRelease } from '../../../../src/connector/index.ts';
import { logTable } from '../../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../../support/engine-rank.ts';
import { LogRecorder } from '../../../support/log-recorder.ts';
import type { ServerProcess } from '../../../support/server-process.ts';
import { startEngine, stepIntoLoad, successorOf } from '../../../support/story.ts';
import { TelemetryRecorder } from '../../../support/telemetry-recorder.ts';
import type { TestInstance, TestInstanceOptions } from '../../../support/test-instance.ts';
import { warmHashes, warmRank } from '../../../support/warm-rank.ts';
import { watchedProcesses } from '../../../support/watched-processes.ts';
import { eventually, within } from '../../../support/within.ts';

/** A warm rank that knows the process behind its link. */
async function watching(engine: ServerProcess, options: TestInstanceOptions = {}) {
  const watchedBefore = watchedProcesses();
  const warm = await warmRank(engine, options);
  const isKnown = () => (watchedProcesses() > watchedBefore ? true : null);
  await eventually('the rank to know the process', isKnown, 20_000);
  const releases: UnsafeRelease[] = [];
  warm.worker.onUnsafeRelease((release) => releases.push(release));
  return { ...warm, releases };
}

/** A save of one block that the server has taken and not answered. */
async function startSlowSave(engine: ServerProcess, instance: TestInstance, copyDelayMs: number): Promise<void> {
  await engine.fault({ copyDelayMs, copyAfterCloseMs: 60_000 });
  instance.scheduler.scheduleSave({ requestId: 'late', blockIds: [3], blockHashes: hashesOf(1, 'late') });
  instance.step();
  await engine.http('GET', '/faults');
}

describe('quarantine', () => {
  it('shows what a frozen server may still touch, by kind, until the thaw settles it', async () => {
    const engine = await startEngine();
    const { instance, worker, releases } = await watching(engine, {
      budgets: { pingIntervalMs: 200, pingTimeoutMs: 600 },
    });
    await engine.fault({ copyDelayMs: 200, copyAfterCloseMs: 60_000 });
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    await stepIntoLoad(engine, instance);
    expect(worker.quarantine('load')).toMatchObject({ blocks: 0, entered: 0 });
    engine.signal('SIGSTOP');
    await eventually('the quarantine', () => (worker.quarantine('load').transfers > 0 ? true : null));
    expect(worker.quarantine('load')).toMatchObject({ blocks: 3, transfers: 1, entered: 1 });
    expect(worker.quarantine('save')).toMatchObject({ blocks: 0, transfers: 0, entered: 0 });
    engine.signal('SIGCONT');
    expect((await instance.ended('loads', 'loaded')).failedLoads).toEqual([]);
    const ended = { record: 1, answer: 0, strongProof: 0, weakProof: 0, threadsGone: 0, unsafeRelease: 0 };
    expect(worker.quarantine('load')).toEqual({ blocks: 0, transfers: 0, entered: 1, ended });
    expect(releases).toEqual([]);
  });

  it('S-57: the hash of a save that was given up is refused after the thaw and after a new registration, and not after the server’s death', async () => {
    const engine = await startEngine();
    const { instance, memory, worker, releases } = await watching(engine, {
      budgets: { unsafeReleaseAfterMs: 1_500, pingIntervalMs: 200, pingTimeoutMs: 600 },
    });
    const late = hashesOf(1, 'late');
    engine.signal('SIGSTOP');
    instance.scheduler.scheduleSave({ requestId: 'late', blockIds: [3], blockHashes: late });
    instance.finish('late');
    await instance.ended('late', 'saved');
    expect(releases).toMatchObject([{ kind: 'save', requestId: 'late', blockIds: [3] }]);
    expect(releases[0]?.ageMs).toBeGreaterThan(1_400);
    expect(worker.takeReport().distrust).toEqual({ revision: 1, hashes: late });
    const { epoch } = instance.scheduler.status;
    engine.signal('SIGCONT');
    await instance.reached('connected');
    await engine.http('POST', '/instances/cleanup');
    await instance.scheduler.query({ requestId: 'finds-the-loss', blockHashes: warmHashes });
    await eventually('another registration', () => {
      const { status } = instance.scheduler;
      return status.state === 'connected' && status.epoch?.counter !== epoch?.counter ? true : null;
    });
    // Whatever the server has or has not stored under it by now.
    memory.fill(3, 33);
    await instance.save('again', [3], late);
    const query = { requestId: 'asks', blockHashes: [...warmHashes, ...late] };
    await eventually('the saved blocks', async () => {
      const outcome = await instance.scheduler.query(query);
      return outcome.kind === 'hit' ? (expect(outcome).toEqual({ kind: 'hit', blocks: 3 }) ?? true) : null;
    });
    expect(await instance.scheduler.query({ requestId: 'alone', blockHashes: late })).toMatchObject({ kind: 'miss' });
    expect(instance.scheduler.scheduleLoad('asks', [4, 5, 6])).toBe(true);
    await instance.ended('asks', 'loaded');

    engine.signal('SIGKILL');
    await engine.exited;
    await eventually('the proof of death', () => (worker.takeReport().distrust?.hashes.length === 0 ? true : null));
    await successorOf(engine);
    await instance.reached('connected');
    await instance.save('anew', [3], late);
    await instance.hit('trusts', late);
  });

  it('S-04: a preemption ends with the save itself, however long that takes, and no hash is distrusted', async () => {
    const engine = await startEngine();
    const log = new LogRecorder();
    const recorder = new TelemetryRecorder();
    const { instance, worker, releases } = await watching(engine, {
      budgets: { preemptionToldAfterMs: 100 },
      telemetry: { logger: log, meterProvider: recorder.meterProvider },
    });
    const heldUp: number[] = [];
    worker.onStatus(({ heldUpPreemptions }) => heldUp.push(heldUpPreemptions));
    await startSlowSave(engine, instance, 1_000);
    const startMs = performance.now();
    expect(await within(10_000, 'the preemption', worker.handlePreemptions(['late', 'unknown']))).toEqual({
      unsafe: [],
    });
    expect(performance.now() - startMs).toBeGreaterThan(300);
    expect(heldUp).toEqual([1, 0]);
    const lines = log.lines.filter(({ message }) => message === logTable.preemptionHeldUp.message);
    expect(lines).toMatchObject([{ level: 'warn', fields: { requests: 1, blocks: 1, waitedMs: 100 } }]);
    const { points } = await recorder.collect();
    expect(points.find(({ name }) => name === 'pegaflow.connector.preemptions.held_up')?.value).toBe(1);
    expect(worker.stats).toMatchObject({ saves: { succeeded: 2 }, unsafeReleases: 0 });
    expect(releases).toEqual([]);
    expect(worker.takeReport().distrust).toBeUndefined();
  });

  it('S-04: a preemption that is given up hands nothing back', async () => {
    const engine = await startEngine();
    const { instance, worker, releases } = await watching(engine);
    await startSlowSave(engine, instance, 60_000);
    const given = new AbortController();
    const preempted = worker.handlePreemptions(['late'], { signal: given.signal });
    given.abort(new Error('the host has another idea'));
    await expect(preempted).rejects.toThrow('the host has another idea');
    await expect(worker.handlePreemptions(['late'], { signal: given.signal })).rejects.toThrow();
    expect(instance.finish('late')).toBe(true);
    expect(instance.step().saved).toEqual([]);
    expect(releases).toEqual([]);
  });

  it('where the host declared a time, blocks are handed back once and aloud; a late answer does not bring trust back', async () => {
    const engine = await startEngine();
    const { instance, worker, releases } = await watching(engine, { budgets: { unsafeReleaseAfterMs: 300 } });
    await startSlowSave(engine, instance, 1_000);
    expect(await within(5_000, 'the preemption', worker.handlePreemptions(['late', 'unknown']))).toEqual({
      unsafe: ['late'],
    });
    expect(releases).toMatchObject([{ kind: 'save', requestId: 'late', blockIds: [3] }]);
    await eventually('the save at the server', async () => ((await engine.rpcCount('save', 'ok')) === 2 ? true : null));
    expect(worker.stats).toMatchObject({ saves: { succeeded: 1, failed: 1 }, unsafeReleases: 1 });
    expect(worker.takeReport().distrust?.hashes).toEqual(hashesOf(1, 'late'));
  });

  it('where the host declared a time, a save that the server refuses after it is trusted again', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance, worker, releases } = await watching(engine, { budgets: { unsafeReleaseAfterMs: 300 } });
    const refuse = { code: 13, message: 'storage error: cudaMemcpyAsync failed: an illegal memory access' };
    await engine.fault({ methods: { save: { delayMs: 1_000, refuse, times: 1 } } });
    instance.scheduler.scheduleSave({ requestId: 'late', blockIds: [3], blockHashes: hashesOf(1, 'late') });
    instance.step();
    await eventually('the unsafe release', () => (releases.length === 1 ? true : null));
    expect(worker.takeReport().distrust?.hashes).toEqual(hashesOf(1, 'late'));
    await eventually('trust', () => (worker.takeReport().distrust?.hashes.length === 0 ? true : null));
  });

  it('a hit that was held when its hash became distrusted is gone', async () => {
    const engine = await startEngine();
    const { instance, worker } = await watching(engine, { budgets: { unsafeReleaseAfterMs: 1_500 } });
    await startSlowSave(engine, instance, 5_000);
    await worker.handlePreemptions(['late']);
    expect(instance.scheduler.scheduleLoad('loads', [4, 5, 6])).toBe(false);
    await instance.hit('loads', warmHashes);
    expect(instance.scheduler.scheduleLoad('loads', [4, 5, 6])).toBe(true);
  });

  it('what a stop leaves unconfirmed is told like every unsafe release', async () => {
    const engine = await startEngine();
    const { instance, worker, releases } = await watching(engine, { budgets: { stopTimeoutMs: 400 } });
    await startSlowSave(engine, instance, 60_000);
    expect(await worker.stop()).toEqual({ kind: 'unconfirmed', requestIds: ['late'] });
    expect(releases).toMatchObject([{ kind: 'save', requestId: 'late', reason: 'the connector was stopped' }]);
    expect(worker.quarantine('save')).toMatchObject({ blocks: 0, ended: { unsafeRelease: 1 } });
  });

  it('S-32: a copy that hangs while every ping is answered is no reason for an Unregister under it: its blocks stay held', async () => {
    const engine = await startEngine();
    const { instance, worker, releases } = await watching(engine, { budgets: { transferStalledAfterMs: 500 } });
    await engine.fault({ copyDelayMs: 60_000, copyAfterCloseMs: 60_000 });
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    instance.step();
    await eventually('the doubt', () => (worker.quarantine('load').blocks === 3 ? true : null));
    await eventually('the first try to be over', () => (worker.takeReport().isQuiet === false ? true : null));
    expect(worker.takeReport().asksProof).toBe(false);
    expect(instance.scheduler.status).toMatchObject({ state: 'connected', epoch: { counter: 1 } });
    expect(releases).toEqual([]);
    engine.signal('SIGKILL');
    expect((await instance.ended('loads', 'loaded')).failedLoads).toEqual(['loads']);
  });

  it('S-32: a save whose answer never comes while later ones are answered is proved to be over by a new registration', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance, worker, releases } = await watching(engine, { budgets: { transferStalledAfterMs: 500 } });
    await engine.fault({ methods: { save: { hang: true, times: 1 } } });
    instance.scheduler.scheduleSave({ requestId: 'lost', blockIds: [3], blockHashes: hashesOf(1, 'lost') });
    instance.finish('lost');
    await instance.ended('lost', 'saved');
    expect(worker.quarantine('save')).toMatchObject({ blocks: 0, ended: { threadsGone: 1 } });
    expect(releases).toEqual([]);
    expect(worker.takeReport().distrust).toBeUndefined();
    await instance.reached('connected');
    expect(instance.scheduler.status.epoch?.counter).toBe(2);
  });

  it('a save that was begun before a keep and fails after it speaks against the registration that was kept', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const { instance, worker } = await watching(engine);
    const epoch = instance.scheduler.status.epoch ?? { schedulerBootId: '', counter: 0 };
    const refuse = { code: 13, message: 'storage error: cudaMemcpyAsync failed: an illegal memory access' };
    await engine.fault({ methods: { save: { delayMs: 1_000, refuse, times: 1 } } });
    instance.scheduler.scheduleSave({ requestId: 'late', blockIds: [3], blockHashes: hashesOf(1, 'late') });
    instance.step();
    await eventually('the save at the server', async () => {
      const { text } = await engine.http('GET', '/faults');
      return JSON.parse(text).methods.save?.times === 0 ? true : null;
    });
    worker.acceptAnnouncement({ epoch: { ...epoch, counter: epoch.counter + 1 }, action: 'keep' });
    await eventually('the keep', () => (worker.takeReport().outcome === 'kept' ? true : null));
    await eventually('the evidence', () => (worker.takeReport().outcome === 'lost' ? true : null));
    expect(worker.stats.staleResults).toBe(0);
  });
});
