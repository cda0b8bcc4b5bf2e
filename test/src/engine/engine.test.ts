import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, callOf, SimulatedEngine, type SimulationOptions } from '../../support/engine-simulated.ts';

const registered = async (options: SimulationOptions = {}) => {
  const sim = new SimulatedEngine(options);
  await sim.during(0, sim.register());
  return sim;
};

const MINUTE_MS = 60_000;

describe('leases', () => {
  test('C09 a lease is valid for 600 seconds and not a millisecond longer', async () => {
    const sim = await registered();
    await sim.saved(['a']);
    const [young, old] = [sim.lease(['a']), sim.lease(['a'])];
    await sim.clock.tickAsync(599_999);
    sim.load('young', young, [1]);
    await sim.clock.tickAsync(1);
    expect(() => sim.load('old', old, [1])).toThrow('storage error: query lease is unknown or expired');
    expect([...sim.loadStates]).toEqual([
      ['young', 1],
      ['old', -1],
    ]);
  });

  test('a lease id is a random UUID of version 4', async () => {
    const sim = await registered();
    await sim.saved(['a']);
    const hex = Buffer.from(sim.lease(['a'])).toString('hex');
    expect(hex).toMatch(/^.{12}4.{3}[89ab].{15}$/);
  });

  test('unregistering drops the leases of that instance only', async () => {
    const sim = await registered();
    await sim.during(0, sim.register('j'));
    await sim.saved(['a']);
    const mine = sim.lease(['a']);
    const other = sim.query(['a'], 'r', 'j');
    if (other === 'loading') throw new Error('loading');
    await sim.during(0, sim.unregister());
    expect(() => sim.release(mine)).toThrow('unknown or expired');
    expect(() => sim.release(other.lease)).not.toThrow();
  });
});

describe('memory', () => {
  test('a block that is loading keeps its bytes when it is evicted', async () => {
    const sim = await registered({ poolBlocks: 1, faults: { copyDelayMs: 50 } });
    sim.memory.fill(7, 0, BLOCK_BYTES);
    await sim.during(100, sim.save(['a']));
    sim.load('load', sim.lease(['a']), [3]);
    expect(sim.engine.cleanupMemory()).toEqual({
      evictedBlocks: 1,
      evictedBytes: BLOCK_BYTES,
      reclaimedBytes: 0,
      stillReferencedBlocks: 1,
    });
    await expect(sim.save(['b'])).rejects.toThrow('pinned pool exhausted');
    await sim.clock.tickAsync(100);
    expect([sim.loadStates.get('load'), sim.memory[3 * BLOCK_BYTES]]).toEqual([1, 7]);
    await sim.during(100, sim.save(['b']));
    expect(sim.hits(['b'])).toBe(1);
  });

  test('a save that its caller left is never inserted and gives its memory back', async () => {
    const sim = await registered({ poolBlocks: 1, faults: { copyDelayMs: 50 } });
    const caller = new AbortController();
    const save = sim.save(['a'], callOf({}, caller.signal));
    caller.abort(new Error('gone'));
    await expect(save).rejects.toThrow('gone');
    await expect(sim.save(['b'])).rejects.toThrow('pinned pool exhausted');
    await sim.clock.tickAsync(1000);
    expect(sim.hits(['a'])).toBe(0);
    await sim.during(100, sim.save(['b']));
    expect(sim.hits(['b'])).toBe(1);
  });
});

describe('visibility', () => {
  test('a save is answered before its blocks are visible, and saves become visible in order', async () => {
    const sim = await registered({ faults: { insertDelayMs: 10 } });
    await sim.during(1, sim.save(['a']));
    await sim.during(1, sim.save(['b']));
    expect([sim.hits(['a']), sim.hits(['b'])]).toEqual([0, 0]);
    await sim.clock.tickAsync(10);
    expect([sim.hits(['a']), sim.hits(['b'])]).toEqual([1, 0]);
    await sim.clock.tickAsync(10);
    expect(sim.hits(['b'])).toBe(1);
  });

  test('of two saves of one block in flight the first stays, and the memory of the second is given back', async () => {
    const sim = await registered({ poolBlocks: 2, faults: { insertDelayMs: 10 } });
    for (const content of [1, 2]) {
      sim.memory.fill(content, 0, BLOCK_BYTES);
      await sim.during(1, sim.save(['a']));
    }
    await sim.clock.tickAsync(20);
    const lease = sim.lease(['a']);
    await sim.during(20, sim.save(['b']));
    expect(sim.hits(['b'])).toBe(1);
    sim.load('load', lease, [3]);
    await sim.clock.tickAsync(1);
    expect([sim.loadStates.get('load'), sim.memory[3 * BLOCK_BYTES]]).toEqual([1, 1]);
  });

  test('a partial block is dropped after five minutes, and its memory with it', async () => {
    const sim = new SimulatedEngine({ poolBlocks: 1 });
    const two = { layerNames: ['l', 'm'], wrapperBytes: [new Uint8Array(1), new Uint8Array(1)] };
    const layout = { numBlocks: [8n, 8n], bytesPerBlock: [512n, 512n], kvStrideBytes: [0n, 0n], segments: [1, 1] };
    await sim.during(0, sim.register('i', callOf(), { ...two, ...layout }));
    await sim.saved(['a']);
    await expect(sim.save(['b'])).rejects.toThrow('pinned pool exhausted');
    await sim.clock.tickAsync(4 * MINUTE_MS);
    await expect(sim.save(['b'])).rejects.toThrow('pinned pool exhausted');
    await sim.clock.tickAsync(2 * MINUTE_MS);
    await sim.saved(['b']);
  });

  test('a prefetch that nobody asks for again is forgotten after five minutes', async () => {
    const sim = await registered({ faults: { answerLoading: 1 } });
    await sim.saved(['a']);
    expect(sim.query(['a'], 'kept')).toBe('loading');
    sim.faults.merge({ answerLoading: null });
    await sim.clock.tickAsync(7 * MINUTE_MS);
    expect(sim.query(['other'], 'kept')).toMatchObject({ numHitBlocks: 0n });
  });
});

describe('the two stores', () => {
  const healthy = (sim: SimulatedEngine) => sim.during(0, sim.save([]));

  test('a Register between the two steps of a cleanup that dropped first leaves a dangling context', async () => {
    const sim = await registered();
    const cleanup = sim.engine.registrations.endSession(sim.session('i', { betweenStepsMs: 10 }));
    await sim.clock.tickAsync(1);
    const refused = sim.register();
    await expect(sim.during(0, refused)).rejects.toThrow('GPU context for device 0 already exists');
    await sim.during(10, cleanup);
    const register = sim.register('i', callOf({ betweenStepsMs: 30 }));
    await sim.clock.tickAsync(1);
    const second = sim.engine.registrations.endSession(sim.session('i', { betweenStepsMs: 10 }));
    await sim.during(20, second);
    await sim.during(20, register);
    await healthy(sim);
    await expect(sim.during(1, sim.save(['a']))).rejects.toThrow('storage error: unmapped');
  });

  test('both steps of a Register before those of a cleanup are a lost acknowledgement', async () => {
    const sim = new SimulatedEngine();
    const session = sim.session('i');
    await sim.during(0, sim.register());
    await sim.during(0, sim.engine.registrations.endSession(session));
    await expect(sim.save([])).rejects.toThrow('instance i not found');
    expect(sim.mappedCount).toBe(0);
  });

  test('the cleanup of an old session that is past its token check drops what a new session registered', async () => {
    const sim = await registered();
    const cleanup = sim.engine.registrations.endSession(sim.session('i', { betweenStepsMs: 10 }));
    sim.session('i');
    await sim.during(20, cleanup);
    await expect(sim.save([])).rejects.toThrow('instance i not found');
  });

  test('an Unregister whose caller left drops the mappings and keeps the instance', async () => {
    const sim = await registered();
    const caller = new AbortController();
    const unregister = sim.unregister('i', callOf({ betweenStepsMs: 10 }, caller.signal));
    caller.abort(new Error('gone'));
    await expect(sim.during(20, unregister)).rejects.toThrow('gone');
    expect([sim.engine.instanceIds, sim.mappedCount]).toEqual([['i'], 0]);
    await expect(sim.during(1, sim.save(['a']))).rejects.toThrow('storage error: unmapped');
  });

  test('cleaning up "a" also drops the mappings of "a:b", whose instance stays', async () => {
    const sim = new SimulatedEngine();
    await sim.during(0, sim.register('a:b'));
    expect(await sim.during(0, sim.engine.registrations.cleanupInstance('a'))).toEqual({
      removedInstances: [],
      removedTensors: 1,
    });
    expect([sim.engine.instanceIds, sim.mappedCount]).toEqual([['a:b'], 0]);
  });

  test('closing the engine unmaps everything and reports no load any more', async () => {
    const sim = await registered({ faults: { copyDelayMs: 10, copyAfterCloseMs: 1000 } });
    await sim.during(20, sim.save(['a']));
    sim.load('load', sim.lease(['a']), [1]);
    await sim.during(0, sim.unregister());
    await sim.during(0, sim.register());
    expect(sim.mappedCount).toBe(2);
    sim.engine.close();
    await sim.clock.tickAsync(20);
    expect([sim.mappedCount, sim.loadStates.has('load')]).toEqual([0, false]);
    expect(sim.clock.countTimers()).toBe(0);
  });
});

describe('copies', () => {
  test('copyAfterThaw holds copies until the process was stopped and continued', async () => {
    const sim = await registered();
    await sim.saved(['a']);
    sim.faults.merge({ copyAfterThaw: true });
    sim.load('load', sim.lease(['a']), [1]);
    await sim.clock.tickAsync(5000);
    expect(sim.loadStates.has('load')).toBe(false);
    sim.clock.jump(5000);
    await sim.clock.tickAsync(100);
    expect(sim.loadStates.get('load')).toBe(1);
  });

  test('copies that wait for a thaw go on when copyAfterThaw is switched off', async () => {
    const sim = await registered({ faults: { copyAfterThaw: true } });
    let isSaved = false;
    void sim.save(['a', 'b']).then(() => {
      isSaved = true;
    });
    await sim.clock.tickAsync(1000);
    expect(isSaved).toBe(false);
    sim.faults.merge({ copyAfterThaw: null });
    await sim.clock.tickAsync(100);
    expect(isSaved).toBe(true);
  });

  test('copyDelayMs passes before each block', async () => {
    const sim = await registered({ faults: { copyDelayMs: 10 } });
    let isSaved = false;
    void sim.save(['a', 'b', 'c']).then(() => {
      isSaved = true;
    });
    await sim.clock.tickAsync(29);
    expect(isSaved).toBe(false);
    await sim.clock.tickAsync(3);
    expect(isSaved).toBe(true);
  });
});
