import { queryObjects } from 'node:v8';
import { expect, test } from 'vitest';
import { Link } from '../../../src/rpc/link.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { connected, inServiceAfter, startEngine, startProxy } from '../../support/story.ts';
import { eventually } from '../../support/within.ts';

const BUDGETS = { unsafeReleaseAfterMs: 200, quiesceTimeoutMs: 50 };

test('links that were lost with a save on them are not kept, however long their server lives', {
  timeout: 60_000,
}, async () => {
  // Without threads that end, nothing but time ends a save.
  const engine = await startEngine({ hasCopyThreads: false, faults: { methods: { save: { hang: true } } } });
  const proxy = await startProxy(engine);
  const instance = await connected(proxy.endpoint, { worldSize: 1, budgets: BUDGETS });
  const [worker] = instance.workers;
  const linksBefore = queryObjects(Link, { format: 'count' });
  for (let lost = 1; lost <= 4; lost += 1) {
    const { counter } = instance.scheduler.status.epoch!;
    const requestId = `save-${lost}`;
    instance.scheduler.scheduleSave({ requestId, blockIds: [0], blockHashes: hashesOf(1, requestId) });
    instance.step();
    proxy.reset();
    await eventually('the unsafe release', () => (worker!.stats.unsafeReleases === lost ? true : null));
    await inServiceAfter(instance, counter);
  }
  expect(worker!.takeReport().distrust?.hashes).toHaveLength(4);
  // The one that was lost last may still be named by what runs at this moment.
  expect(queryObjects(Link, { format: 'count' })).toBeLessThanOrEqual(linksBefore + 1);
});
