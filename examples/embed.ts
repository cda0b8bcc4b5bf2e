/**
 * A connector embedded in one process: one rank with emulated device memory saves a block, finds it again and loads it.
 *
 *   npm run engine -- --addr 127.0.0.1:50055
 *   npm run example -- http://127.0.0.1:50055
 *
 * Kill the engine and start it again while this waits: it goes on by itself. Outside this repository the imports are
 * `pegaflow-lifecycle` and `pegaflow-lifecycle/native-bindings`.
 */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createEmulatedDriver } from '../native-bindings/index.ts';
import { encodeIpcWrapper, SchedulerConnector, WorkerConnector } from '../src/index.ts';

const endpoint = process.argv[2] ?? 'http://127.0.0.1:50055';
if (!/^http:\/\/[^/]+:\d+\/?$/.test(endpoint)) {
  console.error(`usage: npm run example -- [http://host:port]; "${endpoint}" is no such endpoint`);
  process.exit(2);
}
const instance = {
  endpoint,
  instanceId: `example-${randomUUID()}`,
  namespace: 'example-model-bf16',
  tpSize: 1,
  worldSize: 1,
};

// Device memory of one layer: 4 blocks of 4 KiB for K, then as many for V.
const numBlocks = 4;
const bytesPerBlock = 4096;
const driver = createEmulatedDriver();
const memory = driver.allocate(0, 2 * numBlocks * bytesPerBlock);
const layer = {
  name: 'model.layers.0',
  numBlocks,
  bytesPerBlock,
  segments: 2,
  kvStrideBytes: numBlocks * bytesPerBlock,
  wrapperBytes: encodeIpcWrapper({
    deviceIndex: 0,
    memoryHandle: memory.exportHandle(),
    storageSizeBytes: memory.sizeBytes,
    storageOffsetBytes: 0,
    refCounterFile: new Uint8Array(),
    refCounterSlot: 0,
    eventHandle: new Uint8Array(64),
    eventSyncRequired: false,
    dtype: 'bfloat16',
    shape: [2, numBlocks, bytesPerBlock / 2],
    stride: [(numBlocks * bytesPerBlock) / 2, bytesPerBlock / 2, 1],
    deviceUuid: driver.deviceUuid(0),
  }),
};

const scheduler = new SchedulerConnector(instance);
const worker = new WorkerConnector({ ...instance, rank: 0, tpRank: 0, deviceId: 0 });
scheduler.onAnnounce((announcement) => worker.acceptAnnouncement(announcement));
worker.onReport((report) => scheduler.acceptReport(report));
scheduler.onStatus(({ state, fault }) => console.log(`scheduler: ${state}${fault ? ` (${fault.message})` : ''}`));
worker.registerKvCaches([layer]);
scheduler.start();

/** Without a server a query is answered at once: a loop that never yields would keep the connector from finding one. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** One step of a host: what was scheduled goes to the worker, what has ended comes back. */
function step(finishedRequestIds: string[]) {
  const metadata = scheduler.buildMetadata();
  worker.acceptMetadata(metadata);
  worker.startLoad(metadata.loads);
  worker.save(metadata.saves);
  const failedLoads = worker.takeLoadErrors(metadata).map(({ requestId }) => requestId);
  const finished = worker.takeFinished(finishedRequestIds, metadata);
  return { ...scheduler.acceptFinished({ ...finished, failedLoads }), failedLoads };
}

/** Asks until the block is a hit; whenever it is not, computes it again and saves it. */
async function load(blockHash: Uint8Array, content: Uint8Array): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    await nextTurn();
    const requestId = `request-${attempt}`;
    const outcome = await scheduler.query({ requestId, blockHashes: [blockHash] });
    if (outcome.kind === 'hit' && scheduler.scheduleLoad(requestId, [3])) {
      let { loaded, failedLoads } = step([]);
      while (!loaded.includes(requestId)) {
        await nextTurn();
        ({ loaded, failedLoads } = step([]));
      }
      scheduler.requestFinished(requestId);
      if (failedLoads.length === 0) return;
    }
    memory.write(0, content);
    scheduler.scheduleSave({ requestId, blockIds: [0], blockHashes: [blockHash] });
    const isHeld = scheduler.requestFinished(requestId);
    let { saved } = step([requestId]);
    while (isHeld && !saved.includes(requestId)) {
      await nextTurn();
      ({ saved } = step([]));
    }
  }
}

console.log(`looking for a server at ${endpoint}`);
const content = new Uint8Array(bytesPerBlock).fill(42);
await load(createHash('sha256').update('the tokens of this block and all before it').digest(), content);
const found = new Uint8Array(bytesPerBlock);
memory.read(3 * bytesPerBlock, found);
console.log(Buffer.compare(found, content) === 0 ? 'loaded what was saved, byte for byte' : 'WRONG BYTES');
if (process.stdin.isTTY) {
  console.log('kill the engine and start it again; Ctrl-C ends this');
  await once(process, 'SIGINT');
}
// The scheduler first: it tells the ranks to stop, and unregisters when they have.
console.log(`stopped: ${(await scheduler.stop()).kind}, ${(await worker.stop()).kind}`);
memory[Symbol.dispose]();
process.exit();
