/** One role of a connector as a process of its own, for tests. What crosses to the other roles goes over the channel to the parent. */
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import {
  SchedulerConnector,
  type SchedulerConnectorOptions,
  WorkerConnector,
  type WorkerConnectorOptions,
} from '../../src/connector/index.ts';
import { TestConnection, TestRank } from './engine-rank.ts';
import type { RoleMessage, RoleSetup } from './role-process.ts';
import { stallEventLoop } from './stall-event-loop.ts';
import { TelemetryRecorder } from './telemetry-recorder.ts';
import { layersOf } from './test-instance.ts';
import { publishedUnderTest } from './version-under-test.ts';

const tell = (message: RoleMessage) => process.send?.(message);

const runScheduler = (options: SchedulerConnectorOptions) => {
  const scheduler = new SchedulerConnector(options);
  process.on('message', ({ report }: RoleMessage) => report && scheduler.acceptReport(report));
  scheduler.onStatus((status) => tell({ status }));
  scheduler.onAnnounce((announcement) => tell({ announcement }));
  scheduler.start();
};

const runRank = (options: WorkerConnectorOptions) => {
  const { client } = new TestConnection(options.endpoint);
  const memory = new TestRank(client, createEmulatedDriver({ deviceCount: options.worldSize }), {
    instanceId: options.instanceId,
    namespace: options.namespace,
    tpRank: options.tpRank,
    tpSize: options.tpSize,
    worldSize: options.worldSize,
    deviceId: options.deviceId,
  });
  const worker = new WorkerConnector(options);
  process.on('message', ({ announcement }: RoleMessage) => announcement && worker.acceptAnnouncement(announcement));
  worker.onStatus((status) => tell({ status }));
  worker.onReport((report) => tell({ report }));
  worker.registerKvCaches(layersOf(memory));
};

process.on('message', ({ stallMs }: RoleMessage) => {
  if (!stallMs) return;
  stallEventLoop(stallMs);
  tell({ stallMs });
});
// Nobody is left to end this process when its test is gone.
process.once('disconnect', () => process.exit());

const setup: RoleSetup = JSON.parse(process.argv[2] ?? '');
const recorder = setup.isRecorded ? TelemetryRecorder.registerGlobally() : null;
process.on('message', ({ collect }: RoleMessage) => {
  if (collect) void recorder?.collect().then((recorded) => tell({ recorded }));
});
const shared = publishedUnderTest === null ? {} : { serverVersions: publishedUnderTest };
if (setup.role === 'scheduler') runScheduler({ ...shared, ...setup.options });
else runRank({ ...shared, ...setup.options });
tell({ isStarted: true });
