import { describe, expect, it } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { SchedulerConnector, WorkerConnector } from '../../../src/connector/index.ts';
import { encodeIpcWrapper } from '../../../src/registration/ipc-wrapper.ts';
import { logTable } from '../../../src/telemetry/logs/log-table.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { own } from '../../support/own.ts';
import { ShardedInstance } from '../../support/sharded-instance.ts';
import { connected, endpointOf, kill, startEngine, successorOf } from '../../support/story.ts';
import { describeVersionChanges, refusedRegisters } from '../../support/version-changes.ts';
import { eventually } from '../../support/within.ts';

describeVersionChanges('embedded engine', (version, before) =>
  startEngine({ version, ...(before ? { addr: before.grpcAddress, httpAddr: before.httpAddress } : {}) }),
);

describe('serverVersions', { timeout: 60_000 }, () => {
  it('"minor" takes a version that nobody has tested, beside one that was', async () => {
    const engine = await startEngine({ version: '0.24.99' });
    const instance = await connected(endpointOf(engine), { serverVersions: 'minor' });
    expect(instance.scheduler.status.epoch?.counter).toBe(2);
  });

  it('refuses what is neither a rule nor a version', () => {
    const options = { endpoint: 'http://127.0.0.1:1', instanceId: 'a', namespace: 'a', worldSize: 1, tpSize: 1 };
    const withVersions = (serverVersions: string) => () => new SchedulerConnector({ ...options, serverVersions });
    expect(withVersions('latest')).toThrow('serverVersions must be "tested", "minor" or a version such as 0.25.1');
    expect(withVersions('0.25')).toThrow(TypeError);
  });

  it('shards may be at servers of different versions, each of which changes by itself', async () => {
    const engines = [await startEngine({ version: '0.24.6' }), await startEngine({ version: '0.25.1' })];
    const instance = own(new ShardedInstance(engines).start());
    const inService = () => eventually('all shards in service', () => instance.scheduler.isInService || null, 15_000);
    await inService();
    const epochs = () => instance.scheduler.status.shards.map(({ epoch }) => epoch?.counter);
    expect(epochs()).toEqual([2, 1]);
    await kill(engines[1]!);
    await successorOf(engines[1]!, { version: '0.23.12' });
    await eventually('the second shard again', () => (epochs()[1] === 3 ? true : null), 15_000);
    await inService();
    expect(epochs()).toEqual([2, 3]);
  });

  it('a rank with a storage offset is not registered with a server that would not check it', async () => {
    const engine = await startEngine({ version: '0.23.12' });
    const log = new LogRecorder();
    const driver = createEmulatedDriver();
    const memory = own(driver.allocate(0, 4096));
    const options = {
      endpoint: endpointOf(engine),
      instanceId: 'offset',
      namespace: 'offset',
      worldSize: 1,
      tpSize: 1,
      budgets: { versionProbeIntervalMs: 50 },
      logger: log,
    };
    const scheduler = new SchedulerConnector(options);
    const worker = new WorkerConnector({ ...options, rank: 0, tpRank: 0, deviceId: 0 });
    own({ [Symbol.asyncDispose]: async () => void (await Promise.all([scheduler.stop(), worker.stop()])) });
    scheduler.onAnnounce((announcement) => worker.acceptAnnouncement(announcement));
    worker.onReport((report) => scheduler.acceptReport(report));
    const wrapperBytes = encodeIpcWrapper({
      deviceIndex: 0,
      memoryHandle: memory.exportHandle(),
      storageSizeBytes: 4096,
      storageOffsetBytes: 0,
      refCounterFile: Buffer.from('/torch_1_2'),
      refCounterSlot: 0,
      eventHandle: new Uint8Array(64),
      eventSyncRequired: false,
      dtype: 'uint8',
      shape: [4, 512],
      stride: [512, 1],
      storageOffset: 2048,
      deviceUuid: driver.deviceUuid(0),
    });
    const shape = { numBlocks: 4, bytesPerBlock: 512, kvStrideBytes: 0, segments: 1 };
    worker.registerKvCaches([{ name: 'attention.7', wrapperBytes, ...shape }]);
    scheduler.start();
    const reached = (state: string) =>
      eventually(state, () => (scheduler.status.state === state ? true : null), 15_000);
    await reached('incompatible');
    const reason =
      /^rank 0: layer attention\.7 has a storage offset, or a wrapper that cannot be read, which a server of 0\.23\.12/;
    expect(scheduler.status.fault).toMatchObject({ serverVersion: '0.23.12', message: expect.stringMatching(reason) });
    const line = log.lines.find(({ message }) => message === logTable.incompatible.message);
    expect(line?.fields['fault']).toMatch(/storage offset/);
    // Asked for its version again and again, and never registered with.
    const asked = await refusedRegisters(engine);
    const askedAgain = async () => (await refusedRegisters(engine)) >= asked + 3;
    await eventually('three more probes', async () => (await askedAgain()) || null);
    expect(await engine.rpcCount('register_context_batch', 'ok')).toBe(0);
    expect(scheduler.status.state).toBe('incompatible');
    await kill(engine);
    await successorOf(engine, { version: '0.24.6' });
    await reached('connected');
  });
});
