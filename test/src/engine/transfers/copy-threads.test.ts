import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import type { DeviceDriver } from '../../../../native-bindings/device-memory.ts';
import { createEmulatedDriver } from '../../../../native-bindings/emulated-device.ts';
import { type EngineOptions, startEngine } from '../../../../src/engine/index.ts';
import { EngineProcess } from '../../../support/engine-process.ts';
import { hashesOf, hashOf, TestConnection, TestRank } from '../../../support/engine-rank.ts';
import { callOf, SimulatedEngine, type SimulationOptions } from '../../../support/engine-simulated.ts';
import { own } from '../../../support/own.ts';
import { threadNamesOf } from '../../../support/task-list.ts';
import { eventually } from '../../../support/within.ts';
import { describeCopyThreads } from './copy-thread-contract.ts';

/** An engine whose copy threads are noted, with the copies that it makes in between. */
const noted = (options: SimulationOptions = {}) => {
  const events: string[] = [];
  const startCopyThread = (name: string) => {
    events.push(`${name} starts`);
    return { [Symbol.dispose]: () => void events.push(`${name} ends`) };
  };
  return { events, sim: new SimulatedEngine({ startCopyThread, ...options }) };
};

describe('the copy threads of a registration', () => {
  test('that of its loads starts first, and both end when it is unregistered', async () => {
    const { events, sim } = noted();
    await sim.during(0, sim.register());
    expect(events).toEqual(['gpu0-load starts', 'gpu0-save starts']);
    await sim.during(0, sim.unregister());
    expect(events.slice(2).toSorted()).toEqual(['gpu0-load ends', 'gpu0-save ends']);
  });

  test('they end with the session and with both kinds of cleanup', async () => {
    const { events, sim } = noted();
    const { registrations } = sim.engine;
    const leaving: (() => Promise<unknown>)[] = [
      () => registrations.endSession(sim.session()),
      () => registrations.cleanupInstance('i'),
      () => registrations.cleanupAll(),
    ];
    for (const leave of leaving) {
      await sim.during(0, sim.register());
      await sim.during(0, leave());
      expect(events.splice(0)).toHaveLength(4);
    }
  });

  test('a save under way when it goes keeps both until its handler is done', async () => {
    const { events, sim } = noted({ faults: { copyDelayMs: 10, copyAfterCloseMs: 1000 } });
    await sim.during(0, sim.register());
    events.length = 0;
    const note = (what: string) => () => void events.push(what);
    const [first, second] = [sim.save(['a', 'b']).then(note('first save')), sim.save(['c']).then(note('second save'))];
    await sim.during(0, sim.unregister());
    await sim.during(29, first);
    expect(events).toEqual(['first save']);
    await sim.during(10, second);
    expect(events.slice(1).toSorted()).toEqual(['gpu0-load ends', 'gpu0-save ends', 'second save']);
  });

  test('a save that its caller left keeps the thread of saves until its last block is copied', async () => {
    const { events, sim } = noted({ faults: { copyDelayMs: 10, copyAfterCloseMs: 1000 } });
    await sim.during(0, sim.register());
    events.length = 0;
    const caller = new AbortController();
    const save = sim.save(['a', 'b'], callOf({}, caller.signal));
    await sim.during(0, sim.unregister());
    caller.abort(new Error('gone'));
    await expect(sim.during(1, save)).rejects.toThrow('gone');
    expect(events).toEqual(['gpu0-load ends']);
    await sim.clock.tickAsync(30);
    expect(events).toEqual(['gpu0-load ends', 'gpu0-save ends']);
  });

  test('the thread of a load that is queued outlives it, also where it fails', async () => {
    const { events, sim } = noted();
    await sim.during(0, sim.register());
    await sim.saved(['a']);
    sim.faults.merge({ copyDelayMs: 10 });
    sim.load('load', sim.lease(['a']), [1]);
    await sim.during(0, sim.unregister());
    expect(events.splice(0)).toEqual(['gpu0-load starts', 'gpu0-save starts', 'gpu0-save ends']);
    await sim.clock.tickAsync(20);
    expect([sim.loadStates.get('load'), events]).toEqual([-1, ['gpu0-load ends']]);
  });

  test('two registrations of a device have threads of their own', async () => {
    const { events, sim } = noted({ faults: { copyDelayMs: 10, copyAfterCloseMs: 1000 } });
    await sim.during(0, sim.register());
    const save = sim.save(['a']);
    await sim.during(0, sim.unregister());
    await sim.during(0, sim.register());
    await sim.during(0, sim.unregister());
    const ends = (name: string) => events.filter((event) => event === `${name} ends`).length;
    expect([ends('gpu0-save'), ends('gpu0-load')]).toEqual([1, 1]);
    await sim.during(20, save);
    expect([ends('gpu0-save'), ends('gpu0-load')]).toEqual([2, 2]);
  });

  test('a registration that is refused before the seal starts none', async () => {
    const { events, sim } = noted();
    await sim.during(0, sim.register());
    events.length = 0;
    const refused = [
      sim.register('i'),
      sim.register('i', callOf(), { deviceId: 1, wrapperBytes: [Uint8Array.of(1)] }),
      sim.register('j', callOf(), { numBlocks: [1_000_000n] }),
      sim.register('j', callOf(), { tpRank: 1 }),
    ];
    for (const result of await sim.during(0, Promise.allSettled(refused))) expect(result.status).toBe('rejected');
    expect(events).toEqual([]);
  });

  test('one that the seal refuses ends its own and leaves those of the other devices', async () => {
    const { events, sim } = noted();
    await sim.during(0, sim.register('i', callOf(), { worldSize: 2, tpSize: 2 }));
    events.length = 0;
    const last = sim.register('i', callOf(), {
      worldSize: 2,
      tpSize: 2,
      tpRank: 1,
      deviceId: 1,
      layerNames: ['other'],
      wrapperBytes: [Uint8Array.of(1)],
    });
    await expect(sim.during(0, last)).rejects.toThrow('invalid argument');
    expect(events).toEqual(['gpu1-load starts', 'gpu1-save starts', 'gpu1-save ends', 'gpu1-load ends']);
  });

  test('a device whose second thread cannot be started is not registered and has none', async () => {
    const ended: string[] = [];
    const startCopyThread = (name: string) => {
      if (name === 'gpu0-save') throw new Error('no more threads');
      return { [Symbol.dispose]: () => void ended.push(name) };
    };
    const { sim } = noted({ startCopyThread });
    await expect(sim.during(0, sim.register())).rejects.toMatchObject({
      code: Code.Internal,
      message: 'failed to initialize CUDA: no more threads',
    });
    expect([ended, sim.mappedCount]).toEqual([['gpu0-load'], 0]);
  });
});

describeCopyThreads('an engine', async (faults = {}) => own(await EngineProcess.start({ faults })));

const rankAt = (grpcAddress: string) => {
  const { client } = own(new TestConnection(`http://${grpcAddress}`));
  return own(new TestRank(client, createEmulatedDriver()));
};

const copyThreadsOf = (pid: number | 'self') => threadNamesOf(pid).filter((name) => name.startsWith('gpu'));

test('an engine can run without copy threads', async () => {
  const engine = own(await EngineProcess.start({ hasCopyThreads: false }));
  const rank = rankAt(engine.grpcAddress);
  await rank.register();
  expect(copyThreadsOf(engine.pid)).toEqual([]);
});

describe('an engine in this process', () => {
  /** A rank of this process cannot give emulated memory to an engine of this process, so the engine maps memory of its own. */
  const driver: DeviceDriver = {
    ...createEmulatedDriver(),
    openHandle: (deviceId) => {
      const bytes = Buffer.alloc(1 << 20);
      return {
        deviceId,
        sizeBytes: bytes.length,
        read: (offset, target) => target.set(bytes.subarray(offset, offset + target.length)),
        write: (offset, source) => bytes.set(source, offset),
        [Symbol.dispose]: () => {},
      };
    },
  };

  const registeredAt = async (options: Partial<EngineOptions>) => {
    const engine = await startEngine({ addr: '127.0.0.1:0', httpAddr: null, driver, ...options });
    own({ [Symbol.asyncDispose]: () => engine.close() });
    const rank = rankAt(engine.grpcAddress);
    await rank.register();
    return { engine, rank };
  };

  test('has no copy threads unless they are asked for', async () => {
    await registeredAt({});
    expect(copyThreadsOf('self')).toEqual([]);
  });

  test('takes its copy threads with it, whatever is still queued', async () => {
    const { engine, rank } = await registeredAt({ hasCopyThreads: true, faults: { copyDelayMs: 100_000 } });
    const save = rank.save([0], hashesOf(1));
    save.catch(() => {});
    await rank.query([hashOf('none')]);
    expect(copyThreadsOf('self').toSorted()).toEqual(['gpu0-load', 'gpu0-save']);
    await engine.close();
    await expect(save).rejects.toThrow();
    await eventually('no copy thread', () => (copyThreadsOf('self').length === 0 ? true : null));
  });
});
