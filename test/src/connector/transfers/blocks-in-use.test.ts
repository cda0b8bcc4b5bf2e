/** Blocks that a host hands out while a transfer still touches them. */
import { describe, expect, it } from 'vitest';
import { hashesOf } from '../../../support/engine-rank.ts';
import { startEngine, stepIntoLoad } from '../../../support/story.ts';
import { warmHashes, warmRank } from '../../../support/warm-rank.ts';

describe('a block that a transfer still touches', () => {
  it('is not loaded into while a save reads it, and is afterwards', async () => {
    const engine = await startEngine();
    const { instance, memory, worker } = await warmRank(engine);
    memory.fill(4, 40);
    const saved = hashesOf(1, 'four');
    await engine.fault({ copyDelayMs: 1_000 });
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [4], blockHashes: saved });
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    const metadata = instance.scheduler.buildMetadata();
    worker.acceptMetadata(metadata);
    worker.save(metadata.saves);
    worker.startLoad(metadata.loads);
    expect(worker.takeLoadErrors()).toMatchObject([{ requestId: 'loads', reason: 'block 4 is still being saved' }]);
    await engine.fault({ copyDelayMs: null });
    instance.finish('saves');
    await instance.ended('saves', 'saved');
    await instance.hit('again', [...warmHashes.slice(0, 2), ...saved]);
    instance.scheduler.scheduleLoad('again', [6, 7, 4]);
    expect((await instance.ended('again', 'loaded')).failedLoads).toEqual([]);
    expect(memory.holds(4, 40)).toBe(true);
  });

  it('is neither loaded into nor saved while a load writes it', async () => {
    const engine = await startEngine();
    const { instance, memory, worker } = await warmRank(engine);
    await instance.hit('second', warmHashes);
    await engine.fault({ copyDelayMs: 1_000 });
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    await stepIntoLoad(engine, instance);
    instance.scheduler.scheduleLoad('second', [7, 3, 6]);
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [5], blockHashes: hashesOf(1, 'five') });
    const metadata = instance.scheduler.buildMetadata();
    worker.acceptMetadata(metadata);
    worker.startLoad(metadata.loads);
    expect(worker.takeLoadErrors()).toMatchObject([{ requestId: 'second', reason: 'block 6 is being loaded into' }]);
    expect(worker.save(metadata.saves)).toMatchObject([{ requestId: 'saves', reason: 'block 5 is being loaded into' }]);
    await engine.fault({ copyDelayMs: null });
    expect((await instance.ended('loads', 'loaded')).failedLoads).toEqual([]);
    expect([4, 5, 6].every((block, index) => memory.holds(block, index + 1))).toBe(true);
  });
});
