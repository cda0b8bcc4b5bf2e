/** Registrations that fail, hang, are lost or are refused, at a server that lives. */
import { describe, expect, it, vi } from 'vitest';
import { logTable } from '../../src/telemetry/logs/log-table.ts';
import { hashesOf, TestConnection } from '../support/engine-rank.ts';
import { heldStates, patientBudgets } from '../support/held-states.ts';
import { LogRecorder } from '../support/log-recorder.ts';
import {
  ask,
  connected,
  endpointOf,
  epochOf,
  inServiceAfter,
  instancesAt,
  kill,
  leasedBlocks,
  provesItself,
  startEngine,
  startInstance,
  startProxy,
  successorOf,
} from '../support/story.ts';
import { TestInstance } from '../support/test-instance.ts';
import { Traffic } from '../support/traffic.ts';
import { eventually, within } from '../support/within.ts';

const hangs = (method: 'registerContextBatch' | 'unregisterContext') => ({ methods: { [method]: { hang: true } } });

describe('registrations', { timeout: 60_000 }, () => {
  it.each([2, 8, 16])(
    'S-15: one of %d ranks that is refused makes the generation fail for all; the next one is whole',
    async (worldSize) => {
      const engine = await startEngine({
        deviceCount: worldSize,
        faults: { methods: { registerContextBatch: { refuse: { code: 13, message: 'CUDA error' }, times: 1 } } },
      });
      const instance = startInstance(endpointOf(engine), { worldSize });
      const published: number[] = [];
      instance.scheduler.onStatus(({ state, epoch }) => {
        if (state === 'connected' && epoch !== null) published.push(epoch.counter);
      });
      await inServiceAfter(instance, 1);
      expect(published).toEqual([2]);
      expect(instance.workers.map((worker) => worker.takeReport().outcome)).toEqual(
        Array(worldSize).fill('registered'),
      );
      await provesItself(instance);
    },
  );

  it.each([
    ['S-31 S-60: a Register', 'registerContextBatch', 'reRegistering.sealing.stalled'],
    ['S-31 S-61: an Unregister', 'unregisterContext', 'reRegistering.clearing.stalled'],
  ] as const)(
    '%s that is stuck in the registration thread is shown as stalled, asked for slowly, and guardedInspector when it lands',
    async (_, method, path) => {
      const engine = await startEngine();
      const proxy = await startProxy(engine);
      const budgets = { stalledAfterMs: 50, stalledTimeoutMs: 300, quiesceTimeoutMs: 100 };
      const instance = await connected(proxy.endpoint, { budgets });
      const before = epochOf(instance);
      await engine.http('POST', '/instances/cleanup');
      await engine.fault(hangs(method));
      await ask(instance);
      await instance.at(path);
      const dialled = proxy.accepted;
      await eventually('a fresh link', () => (proxy.accepted > dialled ? true : null));
      await instance.at('reRegistering');
      expect(await ask(instance)).toEqual({ kind: 'miss', reason: 'notConnected' });
      expect((await engine.http('GET', '/health')).status).toBe(200);
      await engine.http('DELETE', '/faults');
      await inServiceAfter(instance, before);
      await provesItself(instance);
      expect(await instancesAt(engine)).toHaveLength(1);
    },
  );

  it('S-33: another version parks the instance, and the old one rolled back is taken up without a restart of anything', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const budgets = { versionProbeIntervalMs: 50 };
    const instance = await connected(endpointOf(engine), { budgets });
    const before = epochOf(instance);
    await engine.fault({ version: '0.24.0' });
    await engine.http('POST', '/instances/cleanup');
    await ask(instance);
    await instance.reached('incompatible');
    expect(instance.scheduler.status.fault).toMatchObject({ kind: 'incompatible', serverVersion: '0.24.0' });
    await engine.fault({ version: null });
    await inServiceAfter(instance, before);
    await provesItself(instance);
  });

  it('S-34: fields that the server does not know change nothing', async () => {
    const engine = await startEngine();
    const instance = await connected(endpointOf(engine), { instanceId: 'newer-client' });
    using connection = new TestConnection(endpointOf(engine));
    const hashes = hashesOf(1);
    await instance.save('kept', [0], hashes);
    await instance.hit('asks', hashes);
    const { outcome } = await connection.client.queryPrefetch({
      instanceId: 'newer-client',
      reqId: 'newer',
      blockHashes: hashes,
      $unknown: [{ no: 2_000, wireType: 0, data: new Uint8Array([1]) }],
    });
    expect(outcome).toMatchObject({ case: 'ready', value: { numHitBlocks: 1n } });
  });

  it('S-35: a refusal in words that nobody knows starts a survey, is logged once, and with nothing lost the epoch goes on', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const log = new LogRecorder();
    const instance = await connected(endpointOf(engine), { budgets: patientBudgets, telemetry: { logger: log } });
    const before = epochOf(instance);
    const asked = await engine.rpcCount('query_prefetch');
    for (const hours of [1, 2]) {
      const refuse = { code: 9, message: `the instance has wandered off ${hours} hours ago` };
      await engine.fault({ methods: { queryPrefetch: { refuse, times: 1 } } });
      expect(await ask(instance)).toEqual({ kind: 'miss', reason: 'failed' });
      await instance.reached('connected');
    }
    expect(await engine.rpcCount('query_prefetch')).toBe(asked + 4);
    const unknown = log.lines.filter(({ message }) => message === logTable.unknownRefusal.message);
    expect(unknown.map(({ level, fields }) => [level, fields['fault']])).toEqual([
      ['warn', 'defect: FailedPrecondition: the instance has wandered off 1 hours ago'],
    ]);
    expect(epochOf(instance)).toBe(before);
    await provesItself(instance);
  });

  it('S-37: a registration that takes long costs another instance neither its link nor its epoch', async () => {
    const engine = await startEngine();
    const budgets = { pingIntervalMs: 50, pingTimeoutMs: 1_000, auditFirstMs: 50, auditIntervalMs: 50 };
    const instance = await connected(endpointOf(engine), { budgets });
    const told: string[] = [];
    instance.scheduler.onStatus(({ state }) => told.push(state));
    await engine.fault(hangs('registerContextBatch'));
    const slow = startInstance(endpointOf(engine), { budgets: { stalledAfterMs: 20 } });
    await slow.at('reRegistering.sealing.stalled');
    const asked = await engine.rpcCount('query_prefetch');
    await eventually('twenty audits beside it', async () =>
      (await engine.rpcCount('query_prefetch')) >= asked + 20 ? true : null,
    );
    expect(told).toEqual([]);
    await engine.http('DELETE', '/faults');
    await slow.reached('connected');
  });

  it('S-43: an operator who clears the server under load is healed again and again, and no request fails', async () => {
    const engine = await startEngine();
    const budgets = { auditFirstMs: 50, auditIntervalMs: 50, voidBackoffMaxMs: 100 };
    const instance = await connected(endpointOf(engine), { budgets });
    const traffic = new Traffic(instance);
    const running = traffic.run();
    for (let cleanup = 0; cleanup < 3; cleanup += 1) {
      const before = epochOf(instance);
      await engine.http('POST', '/instances/cleanup');
      await inServiceAfter(instance, before);
      const { loaded } = traffic;
      await eventually('hits', () => (traffic.loaded > loaded ? true : null));
    }
    traffic.stop();
    await within(10_000, 'the last request', running);
  });

  it('S-64: a request that was still loading and asks for another prefix gets that one, never the first one’s result', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const instance = await connected(endpointOf(engine));
    const [first, second] = [hashesOf(1, 'first'), hashesOf(1, 'second')];
    for (const rank of instance.memory) for (const block of [0, 1]) rank.fill(block, block + 1);
    await instance.save('saves', [0, 1], [...first, ...second]);
    await eventually('the blocks', async () => ((await leasedBlocks(engine)) === 0 ? true : null));
    await instance.save('saves again', [0, 1], [...first, ...second]);
    await engine.fault({ answerLoading: 1 });
    const query = (blockHashes: readonly Uint8Array[]) => instance.scheduler.query({ requestId: 'asks', blockHashes });
    expect(await query(first)).toEqual({ kind: 'loading' });
    expect(await query(second)).toEqual({ kind: 'loading' });
    await instance.hit('asks', second);
    expect(instance.scheduler.scheduleLoad('asks', [5])).toBe(true);
    await instance.ended('asks', 'loaded');
    expect(instance.memory.every((rank) => rank.holds(5, 2))).toBe(true);
  });

  it('S-68: an idle host that makes no steps after a loss waits in one generation, and its next step ends it', async () => {
    const engine = await startEngine();
    const budgets = {
      auditFirstMs: 20,
      auditIntervalMs: 20,
      // Longer than a Register with the look for the server's process takes here, and together less than what is waited below.
      stalledAfterMs: 150,
      stalledTimeoutMs: 300,
      surveyTimeoutMs: 5_000,
    };
    const instance = startInstance(endpointOf(engine), { isPushed: false, budgets });
    const inService = () =>
      eventually('the step that ends it', () => {
        instance.step();
        return instance.scheduler.status.state === 'connected' ? true : null;
      });
    await inService();
    const before = epochOf(instance);
    await engine.http('POST', '/instances/cleanup');
    await instance.at('reRegistering.announcing');
    const sinceMs = performance.now();
    await eventually('more than every budget', () => (performance.now() - sinceMs > 600 ? true : null));
    expect(instance.scheduler.status.path).toBe('reRegistering.announcing');
    expect(epochOf(instance)).toBe(before + 1);
    await inService();
    await provesItself(instance);
  });

  it('S-48: a wall clock that jumps a day forth and back moves no wait', async () => {
    const engine = await startEngine();
    const instance = await connected(endpointOf(engine), { budgets: { auditFirstMs: 20, auditIntervalMs: 20 } });
    const before = epochOf(instance);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      for (const jumpMs of [86_400_000, -86_400_000]) {
        vi.setSystemTime(Date.now() + jumpMs);
        const asked = await engine.rpcCount('query_prefetch');
        await eventually('audits after the jump', async () =>
          (await engine.rpcCount('query_prefetch')) >= asked + 3 ? true : null,
        );
        await provesItself(instance);
      }
    } finally {
      vi.useRealTimers();
    }
    expect(epochOf(instance)).toBe(before);
  });

  it('S-50 S-67: a stop in any state leaves nothing registered, or says that it is unconfirmed', async () => {
    let engine = await startEngine({ hasRpcFaults: true });
    for (const { path, budgets, isPushed = true, isProxied = false, hold } of heldStates) {
      const proxy = await startProxy(engine);
      const instanceId = `stopped-at-${path}`;
      const patient = { ...patientBudgets, ...budgets, stopTimeoutMs: 400 };
      const endpoint = isProxied ? proxy.endpoint : endpointOf(engine);
      const instance = new TestInstance(endpoint, { isPushed, instanceId, budgets: patient }).start();
      try {
        await eventually(`${path}: in service`, () => {
          if (!isPushed) instance.step();
          return instance.scheduler.status.state === 'connected' ? true : null;
        });
        await hold({ engine, proxy, instance });
        await instance.at(path);
        const outcome = await within(10_000, `the stop at ${path}`, instance.scheduler.stop());
        // A server that drains closes its HTTP port before it has ended, and keeps nothing.
        const answers = engine.isRunning && path !== 'degraded.draining';
        if (outcome.kind === 'clean' && answers) expect(await instancesAt(engine), path).toEqual([]);
      } finally {
        await instance[Symbol.asyncDispose]();
        proxy.cut();
      }
      if (path === 'degraded.draining') {
        await engine.logged('Server stopped');
        await kill(engine);
        engine = await successorOf(engine, { hasRpcFaults: true });
      }
      await engine.http('DELETE', '/faults');
      await eventually(`nothing to be left of ${path}`, async () =>
        (await instancesAt(engine)).length === 0 ? true : null,
      );
    }
  });
});
