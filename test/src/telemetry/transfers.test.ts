import { describe, expect, it } from 'vitest';
import { hashesOf, uniqueId } from '../../support/engine-rank.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { stallEventLoop } from '../../support/stall-event-loop.ts';
import { connected, endpointOf, kill, startEngine } from '../../support/story.ts';
import { TelemetryRecorder } from '../../support/telemetry-recorder.ts';
import type { TestInstance } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

async function watched(budgets: Parameters<typeof connected>[1] = {}) {
  const recorder = new TelemetryRecorder();
  const { tracerProvider, meterProvider } = recorder;
  const log = new LogRecorder();
  const engine = await startEngine({ hasRpcFaults: true });
  const telemetry = { tracerProvider, meterProvider, logger: log };
  const instance = await connected(endpointOf(engine), { ...budgets, worldSize: 1, telemetry });
  const value = async (name: string, attributes: Readonly<Record<string, unknown>> = {}) => {
    const { points } = await recorder.collect();
    const wanted = Object.entries(attributes);
    const found = points.filter(
      (point) =>
        point.name === `pegaflow.connector.${name}` &&
        wanted.every(([key, said]) => point.attributes[`pegaflow.${key}`] === said),
    );
    return found.reduce((sum, point) => sum + point.value, 0);
  };
  return { engine, instance, log, value };
}

/** A save of two blocks that the server does not answer. */
async function hangingSave({
  engine,
  instance,
}: {
  readonly engine: { fault(patch: object): Promise<void> };
  readonly instance: TestInstance;
}) {
  await engine.fault({ methods: { save: { hang: true } } });
  instance.scheduler.scheduleSave({ requestId: uniqueId(), blockIds: [0, 1], blockHashes: hashesOf(2, 'hangs') });
  instance.step();
}

describe('what became of loads and saves', { timeout: 60_000 }, () => {
  it('a save at a killed server is in quarantine until its death is proved, and counted by that', async () => {
    const { engine, instance, value } = await watched();
    const [worker] = instance.workers;
    await hangingSave({ engine, instance });
    engine.signal('SIGSTOP');
    await eventually('the quarantine', () => (worker!.quarantine('save').entered > 0 ? true : null), 15_000);
    await kill(engine);
    await eventually('the end of the save', () => (worker!.stats.saves.failed > 0 ? true : null), 15_000);
    const { ended, entered } = worker!.quarantine('save');
    expect(entered).toBe(1);
    expect(await value('quarantine.blocks', { 'transfer.kind': 'save' })).toBe(0);
    for (const [by, count] of Object.entries(ended)) {
      expect(await value('quarantine.ended', { 'transfer.kind': 'save', 'quarantine.end': by })).toBe(count);
    }
    expect(await value('transfer.duration', { 'transfer.kind': 'save', 'transfer.outcome': 'failed' })).toBe(1);
    expect(await value('unsafe_releases')).toBe(0);
  });

  it('a save whose unsafeReleaseAfterMs ends is an unsafe release, counted and shouted', async () => {
    const { engine, instance, log, value } = await watched({ budgets: { unsafeReleaseAfterMs: 200 } });
    await hangingSave({ engine, instance });
    await eventually('the unsafe release', () => (instance.workers[0]!.stats.unsafeReleases > 0 ? true : null));
    expect(await value('unsafe_releases', { 'transfer.kind': 'save', rank: 0 })).toBe(1);
    const [line] = log.lines.filter(({ level }) => level === 'error');
    expect(line).toMatchObject({ fields: { rank: 0, kind: 'save', blocks: 2, ageMs: expect.any(Number) } });
  });

  it('a load with the lease of another epoch is counted, and is no RPC', async () => {
    const { instance, value } = await watched();
    const epoch = { schedulerBootId: 'another', counter: 1 };
    instance.workers[0]!.startLoad([{ requestId: 'stale', epoch, leases: [] }]);
    expect(await value('stale_leases')).toBe(1);
    expect(await value('transfer.duration', { 'transfer.kind': 'load', 'transfer.outcome': 'refused' })).toBe(1);
  });

  it('a process whose event loop was blocked is told of by both halves', async () => {
    const { log, value } = await watched({ budgets: { pingIntervalMs: 20 } });
    await eventually('a stall to be told', async () => {
      stallEventLoop(300);
      await new Promise((resolve) => setImmediate(resolve));
      const [ofScheduler, ofWorker] = [
        await value('event_loop.stall.duration', { role: 'scheduler' }),
        await value('event_loop.stall.duration', { role: 'worker' }),
      ];
      return ofScheduler > 0 && ofWorker > 0 ? true : null;
    });
    expect(log.lines.filter(({ message }) => message === 'the event loop was blocked').length).toBeGreaterThanOrEqual(
      2,
    );
  });
});
