import { expect, test } from 'vitest';
import { BLOCK_BYTES, callOf, SimulatedEngine, type SimulationOptions } from '../../../support/engine-simulated.ts';

const EXHAUSTED = 'storage error: pinned pool exhausted while allocating block buffer';

const registered = async (options: SimulationOptions) => {
  const sim = new SimulatedEngine(options);
  await sim.during(0, sim.register());
  return sim;
};

const names = (count: number, prefix = 'b') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** Saves each under a Save of its own, and waits until all are visible. */
const savedApart = async (sim: SimulatedEngine, saved: readonly string[]) => {
  for (const name of saved) void sim.save([name]);
  // Each has a turn of the clock for its copy.
  await sim.clock.tickAsync(saved.length + 10);
};

const present = (sim: SimulatedEngine, asked: readonly string[]) => asked.filter((name) => sim.hits([name]) === 1);

test('whatever is needed, up to 512 blocks are evicted at once, the least recently used first', async () => {
  const sim = await registered({ poolBlocks: 600 });
  const blocks = names(600);
  await savedApart(sim, blocks);
  expect(sim.hits(['b3'])).toBe(1);
  await sim.saved(['new']);
  expect(present(sim, [...blocks, 'new'])).toEqual(['b3', ...blocks.slice(513), 'new']);
});

test('a block that was passed over under its lease counts as used when it was passed', async () => {
  const sim = await registered({ poolBlocks: 1100 });
  await sim.saved(['held']);
  const lease = sim.lease(['held']);
  await savedApart(sim, names(1099));
  await sim.saved(['new']);
  sim.release(lease);
  await savedApart(sim, names(511, 'c'));
  await sim.saved(['newer']);
  expect(present(sim, ['b511', 'b1023', 'b1024', 'held', 'c0'])).toEqual(['b1024', 'held', 'c0']);
});

test('saving a block again and asking behind a gap are no use of it', async () => {
  const sim = await registered({ poolBlocks: 600 });
  const blocks = names(600);
  await savedApart(sim, blocks);
  await sim.saved(['b0']);
  expect(sim.hits(['b1', 'gap', 'b2'])).toBe(1);
  await sim.saved(['new']);
  expect(present(sim, ['b0', 'b1', 'b2'])).toEqual(['b1']);
});

test.each([
  [1, 'V segment'],
  [0.5, 'K segment'],
])('K and V take memory apart: with %s of a block free, the refusal names the %s', async (free, purpose) => {
  const half = BLOCK_BYTES / 2;
  const sim = new SimulatedEngine({ poolBlocks: 2 });
  await sim.during(0, sim.register());
  const split = {
    numBlocks: [2n],
    bytesPerBlock: [BigInt(2 * half)],
    kvStrideBytes: [BigInt(4 * half)],
    segments: [2],
  };
  await sim.during(0, sim.register('split', callOf(), split));
  await sim.saved(['a']);
  sim.lease(['a']);
  if (free < 1) {
    await sim.saved(['b']);
    sim.lease(['b']);
  }
  const refusal = `storage error: pinned pool exhausted while allocating ${purpose} buffer`;
  await expect(sim.save(['apart'], callOf(), 'split')).rejects.toThrow(refusal);
});

test('one lease keeps the memory of its whole Save, until it ends', async () => {
  const sim = await registered({ poolBlocks: 8 });
  await sim.saved(names(8));
  const lease = sim.lease(['b0']);
  await expect(sim.save(['c'])).rejects.toThrow(EXHAUSTED);
  expect(present(sim, names(8))).toEqual(['b0']);
  expect(sim.engine.cleanupMemory()).toEqual({
    evictedBlocks: 1,
    evictedBytes: BLOCK_BYTES,
    reclaimedBytes: 0,
    stillReferencedBlocks: 1,
  });
  sim.release(lease);
  await sim.saved(['c']);
  expect(present(sim, ['b0', 'c'])).toEqual(['c']);
});

test('with an allocation for each block a lease keeps its own blocks alone', async () => {
  const sim = await registered({ poolBlocks: 8, engine: { isAllocationBlockwise: true } });
  await sim.saved(names(8));
  sim.lease(['b0']);
  await sim.saved(['c']);
  expect(present(sim, [...names(8), 'c'])).toEqual(['b0', 'c']);
});

test('what is evicted is reported as the memory that came back', async () => {
  const sim = await registered({ poolBlocks: 8 });
  await sim.saved(names(3));
  await sim.saved(names(2, 'c'));
  sim.lease(['b0']);
  expect(sim.engine.cleanupMemory()).toEqual({
    evictedBlocks: 5,
    evictedBytes: 5 * BLOCK_BYTES,
    reclaimedBytes: 2 * BLOCK_BYTES,
    stillReferencedBlocks: 1,
  });
});

test('memory in small pieces refuses a Save that needs one large piece, but not block by block', async () => {
  for (const isAllocationBlockwise of [false, true]) {
    const sim = await registered({ poolBlocks: 64, engine: { isAllocationBlockwise } });
    await savedApart(sim, names(64));
    for (let i = 0; i < 64; i += 8) sim.lease([`b${i}`]);
    const large = sim.save(names(8, 'c'));
    if (isAllocationBlockwise) await sim.during(10, large);
    else await expect(large).rejects.toThrow(EXHAUSTED);
    expect(sim.hits(names(8, 'c'))).toBe(isAllocationBlockwise ? 8 : 0);
    expect(present(sim, names(64))).toHaveLength(8);
  }
});

test('a Save that finds room for one layer and not for the next gives all back', async () => {
  const sim = new SimulatedEngine({ poolBlocks: 8 });
  const two = { layerNames: ['l', 'm'], wrapperBytes: [new Uint8Array(1), new Uint8Array(1)] };
  const layout = { numBlocks: [8n, 8n], bytesPerBlock: [512n, 512n], kvStrideBytes: [0n, 0n], segments: [1, 1] };
  await sim.during(0, sim.register('i', callOf(), { ...two, ...layout }));
  await expect(sim.save(names(5), callOf(), 'i', ['l', 'm'])).rejects.toThrow(EXHAUSTED);
  await sim.during(10, sim.save(names(4), callOf(), 'i', ['l', 'm']));
  expect(sim.hits(names(4))).toBe(4);
});

test('a block that is named twice in a Save takes its memory twice', async () => {
  const sim = await registered({ poolBlocks: 3 });
  await sim.saved(['a', 'a']);
  expect(sim.hits(['a'])).toBe(1);
  await expect(sim.save(names(4))).rejects.toThrow(EXHAUSTED);
  await sim.saved(names(3));
});

test('what a Save names again behind the slot that completed a block stays as a partial block', async () => {
  const sim = new SimulatedEngine({ memoryBytes: 16 * BLOCK_BYTES });
  const ranks = { tpSize: 2, worldSize: 2 };
  const second = { ...ranks, tpRank: 1, deviceId: 1, wrapperBytes: [Uint8Array.of(1)] };
  await sim.during(0, sim.register('i', callOf(), ranks));
  await sim.during(0, sim.register('i', callOf(), second));
  await sim.during(10, sim.save(['a', 'a']));
  await sim.during(10, sim.save(['a', 'a'], callOf(), 'i', ['l'], { tpRank: 1, deviceId: 1 }));
  expect(sim.hits(['a'])).toBe(1);
  expect(sim.engine.cleanupMemory().reclaimedBytes).toBe(2 * BLOCK_BYTES);
  await sim.during(10, sim.save(['a']));
  expect(sim.hits(['a'])).toBe(1);
});

test('a shard of pages keeps its slot when the ranks register in another order', async () => {
  const sim = new SimulatedEngine({ memoryBytes: 16 * BLOCK_BYTES });
  const pages = { worldSize: 2, pageFirst: true };
  const first = () => sim.during(0, sim.register('i', callOf(), pages));
  const other = { ...pages, ppRank: 1, deviceId: 1, layerNames: ['m'], wrapperBytes: [Uint8Array.of(1)] };
  const second = () => sim.during(0, sim.register('i', callOf(), other));
  await first();
  await second();
  await sim.during(10, sim.save(['a'], callOf(), 'i', ['m'], { ppRank: 1, deviceId: 1 }));
  await sim.during(0, sim.unregister('i'));
  await second();
  await first();
  await sim.during(10, sim.save(['a']));
  expect(sim.hits(['a'])).toBe(1);
});

test.each([
  ['0.25.1', 9],
  ['0.24.6', 10],
  ['0.23.12', 10],
])('%s keeps so many blocks of 100000 bytes in a mebibyte: %d', async (version, count) => {
  const sim = new SimulatedEngine({ memoryBytes: 100_000, engine: { version, poolSizeBytes: 2 ** 20 } });
  const layout = { numBlocks: [1n], bytesPerBlock: [100_000n], clientVersion: version };
  await sim.during(0, sim.register('i', callOf(), layout));
  const blocks = names(12);
  for (const name of blocks) {
    await sim.saved([name]);
    if (present(sim, blocks).length <= blocks.indexOf(name)) break;
  }
  expect(present(sim, blocks)).toEqual([blocks[count]]);
});
