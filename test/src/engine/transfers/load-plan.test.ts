import { expect, test } from 'vitest';
import { BLOCK_BYTES, callOf, SimulatedEngine, type SimulationOptions } from '../../../support/engine-simulated.ts';

const HALF = BLOCK_BYTES / 2;

/** Registers `i` with the usual blocks, and `j` in the same namespace with another layout of the same memory. */
const registered = async (layout: object, options: SimulationOptions = {}) => {
  const sim = new SimulatedEngine(options);
  await sim.during(0, sim.register());
  await sim.during(0, sim.register('j', callOf(), layout));
  return sim;
};

const halves = { numBlocks: [8n], bytesPerBlock: [BigInt(HALF)] };
const doubles = { numBlocks: [4n], bytesPerBlock: [BigInt(2 * BLOCK_BYTES)] };
/** K and V apart, together as large as the usual block. */
const split = { numBlocks: [4n], bytesPerBlock: [BigInt(HALF)], kvStrideBytes: [BigInt(4 * HALF)], segments: [2] };

const leaseOf = (sim: SimulatedEngine, instanceId: string, names: readonly string[]) => {
  const ready = sim.query(names, 'r', instanceId);
  if (ready === 'loading') throw new Error('loading');
  return ready.lease;
};

test.each([
  ['smaller', halves, HALF],
  ['larger', doubles, 2 * BLOCK_BYTES],
])('blocks are not loaded into %s ones', async (_, layout, expectedBytes) => {
  const sim = await registered(layout);
  await sim.saved(['a']);
  expect(() => sim.load('record', leaseOf(sim, 'j', ['a']), [1], 'j')).toThrow(
    `invalid argument: stored block has 512 bytes in one piece but layer l of instance j expects ${expectedBytes}: ` +
      'namespace is shared by incompatible KV layouts',
  );
  expect(sim.loadStates.get('record')).toBe(-1);
});

test('K and V that were stored apart are not loaded into one piece, but the other way round they are', async () => {
  const sim = await registered(split);
  await sim.during(10, sim.save(['apart'], callOf(), 'j'));
  expect(() => sim.load('record', sim.lease(['apart']), [1])).toThrow(
    'stored block has 512 bytes as K and V but layer l',
  );
  sim.memory.fill(7, 0, HALF);
  sim.memory.fill(8, HALF, BLOCK_BYTES);
  await sim.saved(['together']);
  sim.load('record', leaseOf(sim, 'j', ['together']), [3], 'j');
  await sim.clock.tickAsync(10);
  expect([sim.loadStates.get('record'), sim.memory[3 * HALF], sim.memory[7 * HALF]]).toEqual([1, 7, 8]);
});

test('told not to check sizes, a Load reads on into the blocks behind', async () => {
  const sim = await registered(doubles, { engine: { isLoadSizeUnchecked: true } });
  for (const i of [0, 1]) sim.memory.fill(i + 1, i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
  await sim.saved(['a', 'b']);
  sim.load('record', leaseOf(sim, 'j', ['a']), [2], 'j');
  await sim.clock.tickAsync(10);
  expect(sim.loadStates.get('record')).toBe(1);
  expect([...new Set(sim.memory.subarray(4 * BLOCK_BYTES, 6 * BLOCK_BYTES))]).toEqual([1, 2]);
});

test('told not to check sizes, a Load that reaches beyond the pool is accepted and fails', async () => {
  const sim = await registered(doubles, { poolBlocks: 1, engine: { isLoadSizeUnchecked: true } });
  await sim.saved(['a']);
  sim.load('record', leaseOf(sim, 'j', ['a']), [2], 'j');
  await sim.clock.tickAsync(10);
  expect(sim.loadStates.get('record')).toBe(-1);
});

test('a Load with a target outside of the registered blocks fails before anything is copied', async () => {
  const sim = new SimulatedEngine();
  await sim.during(0, sim.register());
  sim.memory.fill(9, 0, BLOCK_BYTES);
  await sim.saved(['a', 'b']);
  sim.load('record', sim.lease(['a', 'b']), [3, 4_294_967_295]);
  await sim.clock.tickAsync(10);
  expect([sim.loadStates.get('record'), sim.memory[3 * BLOCK_BYTES]]).toEqual([-1, 0]);
});

test('a Load takes the slot of the rank that it names, and none that the instance does not have', async () => {
  const sim = new SimulatedEngine({ memoryBytes: 16 * BLOCK_BYTES });
  const ranks = { tpSize: 2, worldSize: 2 };
  await sim.during(0, sim.register('i', callOf(), ranks));
  await sim.during(
    0,
    sim.register('i', callOf(), { ...ranks, tpRank: 1, deviceId: 1, wrapperBytes: [Uint8Array.of(1)] }),
  );
  sim.memory.fill(5, 0, BLOCK_BYTES);
  await sim.saved(['a']);
  sim.memory.fill(6, 0, BLOCK_BYTES);
  await sim.during(10, sim.save(['a'], callOf(), 'i', ['l'], { tpRank: 1, deviceId: 1 }));
  const lease = sim.lease(['a']);
  sim.load('wrong rank', lease, [1], 'i', { tpRank: 1 });
  await sim.clock.tickAsync(10);
  expect([sim.loadStates.get('wrong rank'), sim.memory[BLOCK_BYTES]]).toEqual([1, 6]);
  expect(() => sim.load('no rank', lease, [1], 'i', { tpRank: 2 })).toThrow(
    'invalid argument: tp_rank 2 out of range (tp_size 2)',
  );
  expect(sim.loadStates.get('no rank')).toBe(-1);
  expect(() => sim.release(lease)).toThrow('unknown or expired');
});
