/** Answers that may mean a lost registration, or nothing: they lead to a question, never to a guess. */
import { describe, expect, it } from 'vitest';
import { hashesOf } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import { startEngine } from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

const hashes = hashesOf(3);

async function connected() {
  const engine = await startEngine({ hasRpcFaults: true });
  const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1, instanceId: 'asked' }).start());
  await instance.reached('connected');
  await instance.save('kept', [0, 1, 2], hashes);
  await instance.hit('held', hashes);
  const paths: string[] = [];
  instance.scheduler.onStatus(({ path }) => paths.push(path));
  return { engine, instance, paths, epoch: instance.scheduler.status.epoch };
}

const refusals = {
  query: { methods: { queryPrefetch: { refuse: { code: 13, message: 'something nobody knows' }, times: 1 } } },
  release: { methods: { release: { refuse: { code: 9, message: 'query lease is unknown or expired' }, times: 1 } } },
};

const ask: Record<keyof typeof refusals, (instance: TestInstance) => unknown> = {
  query: (instance) => instance.scheduler.query({ requestId: 'asks', blockHashes: hashes }),
  release: (instance) => instance.scheduler.release('held'),
};

describe('an ambiguous answer', () => {
  for (const rpc of ['query', 'release'] as const) {
    it(`to a ${rpc} leads to a survey, and where nothing is lost the epoch goes on`, async () => {
      const { engine, instance, paths, epoch } = await connected();
      await engine.fault(refusals[rpc]);
      await ask[rpc](instance);
      await eventually('the survey', () => (paths.length >= 2 ? true : null));
      await instance.reached('connected');
      expect(paths).toEqual(['degraded.surveying', 'connected.unaudited']);
      expect(instance.scheduler.status.epoch).toBe(epoch);
    });

    it(`to a ${rpc} finds what was lost, and the registration is made anew`, async () => {
      const { engine, instance, epoch } = await connected();
      await engine.fault(refusals[rpc]);
      await engine.http('POST', '/instances/cleanup?id=asked');
      await ask[rpc](instance);
      await eventually('another epoch in service', () => {
        const { status } = instance.scheduler;
        return status.state === 'connected' && status.epoch?.counter !== epoch?.counter ? true : null;
      });
    });
  }

  it('to a load is checked by the rank itself, which finds what was lost', async () => {
    const { engine, instance, epoch } = await connected();
    const refuse = { code: 13, message: 'storage error: query lease is unknown or expired' };
    await engine.fault({ methods: { load: { refuse, times: 1 } } });
    await engine.http('POST', '/instances/cleanup?id=asked');
    instance.scheduler.scheduleLoad('held', [4, 5, 6]);
    expect((await instance.ended('held', 'loaded')).failedLoads).toEqual(['held']);
    await eventually('another epoch in service', () => {
      const { status } = instance.scheduler;
      return status.state === 'connected' && status.epoch?.counter !== epoch?.counter ? true : null;
    });
  });
});
