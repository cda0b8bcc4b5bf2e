/** The story of `partition.test.ts`, to be run in a namespace of its own: a real wire that loses every packet. */
import assert from 'node:assert/strict';
import { hashesOf } from '../support/engine-rank.ts';
import { FarSide } from '../support/netns.ts';
import { startServer } from '../support/server-under-test.ts';
import { TestInstance } from '../support/test-instance.ts';
import { eventually } from '../support/within.ts';

const budgets = { pingIntervalMs: 100, pingTimeoutMs: 1_000, dialTimeoutMs: 200 };
const hashes = hashesOf(2);
const far = await FarSide.open();
const engine = await startServer({ addr: `${far.host}:0` }, { launcher: far.launcher });
const instance = new TestInstance(`http://${engine.grpcAddress}`, { budgets });
const faultSays = (text: string) =>
  eventually(`a fault that says "${text}"`, () =>
    instance.scheduler.status.fault?.message.includes(text) ? true : null,
  );

try {
  far.loseEverything();
  instance.start();
  await faultSays('no answer to the dial');
  far.loseNothing();
  await instance.reached('connected');
  await instance.save('kept', [0, 1], hashes);
  await instance.hit('asks', hashes);

  far.loseEverything();
  await faultSays('no answer to a ping');
  await instance.reached('reconnecting');
  assert.deepEqual(await instance.scheduler.query({ requestId: 'other', blockHashes: hashes }), {
    kind: 'miss',
    reason: 'notConnected',
  });
  await faultSays('no answer to the dial');
  far.loseNothing();
  await instance.reached('connected');
  await eventually('every rank', () =>
    instance.workers.every(({ status }) => status.state === 'connected') ? true : null,
  );
  assert.deepEqual(
    instance.workers.map((worker) => worker.takeReport().outcome),
    ['kept', 'kept'],
    'the server saw nothing of it, so the registrations are kept',
  );
  await instance.hit('after', hashes);
  assert(instance.scheduler.scheduleLoad('after', [5, 6]));
  assert.deepEqual((await instance.ended('after', 'loaded')).failedLoads, []);
} finally {
  await instance[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
  await far[Symbol.asyncDispose]();
}
