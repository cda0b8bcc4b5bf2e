/** Faults of the network between a connector and servers that live. */
import dns, { type LookupAddress } from 'node:dns';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { hashesOf } from '../support/engine-rank.ts';
import { FullListener } from '../support/full-listener.ts';
import { own } from '../support/own.ts';
import { itNeeds } from '../support/server-under-test.ts';
import {
  ask,
  connected,
  endpointOf,
  epochOf,
  inServiceAfter,
  instancesAt,
  loadsTaken,
  provesItself,
  startEngine,
  startInstance,
  startProxy,
  stepIntoLoad,
} from '../support/story.ts';
import { eventually } from '../support/within.ts';

type LookupDone = (error: null, addresses: LookupAddress[]) => void;

const quickPings = { pingIntervalMs: 50, pingTimeoutMs: 1_000 };

describe('faults of the network', { timeout: 60_000 }, () => {
  it('S-06 S-45: a listener whose backlog is full costs one dial budget an attempt, and its healthy successor is found at once', async () => {
    const listener = own(await FullListener.start());
    const instance = startInstance(`http://${listener.address}`, { worldSize: 1, budgets: { dialTimeoutMs: 100 } });
    const { scheduler } = instance;
    await eventually('the end of an attempt', () => scheduler.status.fault);
    expect(scheduler.status.fault).toEqual({ kind: 'timedOut', message: 'no answer to the dial' });
    await listener.end();
    await startEngine({ addr: listener.address });
    await instance.reached('connected');
    await provesItself(instance);
  });

  it('S-07: a name is resolved anew for every dial: the old address is a black hole, the new one is found', async () => {
    const listener = own(await FullListener.start());
    const port = listener.address.split(':')[1];
    const addresses = ['127.0.0.1'];
    const lookup = vi
      .spyOn(dns, 'lookup')
      .mockImplementation(((_name: string, _options: object, done: LookupDone) =>
        done(null, [{ address: addresses[0]!, family: 4 }])) as typeof dns.lookup);
    onTestFinished(() => lookup.mockRestore());
    const instance = startInstance(`http://moved.test:${port}`, { worldSize: 1, budgets: { dialTimeoutMs: 100 } });
    await eventually('the end of an attempt', () => instance.scheduler.status.fault);
    await startEngine({ addr: `127.0.0.2:${port}` });
    addresses[0] = '127.0.0.2';
    await instance.reached('connected');
    await provesItself(instance);
  });

  it('S-08: an address that is published before its server listens is dialled until it does', async () => {
    const proxy = await startProxy(await startEngine());
    proxy.door = 'reset';
    const instance = startInstance(proxy.endpoint);
    await eventually('some resets', () => (proxy.accepted > 10 ? true : null));
    expect(instance.scheduler.status.state).toBe('reconnecting');
    proxy.door = 'open';
    await instance.reached('connected');
    expect(epochOf(instance)).toBe(1);
    await provesItself(instance);
  });

  it('S-12: a flap that the server does not see is kept: no rank registers again, and what was saved is hit', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const instance = await connected(proxy.endpoint, { budgets: quickPings });
    const hashes = hashesOf(2);
    await instance.save('kept', [0, 1], hashes);
    const registered = await engine.rpcCount('register_context_batch');
    const before = epochOf(instance);
    proxy.strand();
    await inServiceAfter(instance, before);
    expect(instance.workers.map((worker) => worker.takeReport().outcome)).toEqual(['kept', 'kept']);
    proxy.cutStranded();
    await instance.hit('asks', hashes);
    await provesItself(instance);
    expect(await engine.rpcCount('register_context_batch')).toBe(registered);
    expect(epochOf(instance)).toBe(before + 1);
  });

  itNeeds('a pause between its two stores')(
    'S-13: the cleanup of an old session that ends after the new registration is noticed, and the registration repeated',
    async () => {
      const engine = await startEngine({ faults: { methods: { session: { betweenStepsMs: 2_000, times: 1 } } } });
      const proxy = await startProxy(engine);
      const budgets = { auditFirstMs: 3_000, auditIntervalMs: 200 };
      const instance = await connected(proxy.endpoint, { budgets });
      const before = epochOf(instance);
      proxy.cut();
      await inServiceAfter(instance, before);
      const wiped = epochOf(instance);
      await eventually('the late cleanup', async () => ((await instancesAt(engine)).length === 0 ? true : null));
      await inServiceAfter(instance, wiped);
      await provesItself(instance);
    },
  );

  it.each(['toServer', 'toClient'] as const)(
    'S-45: a link that carries nothing %s, without FIN or RST, is given up by its ping budget',
    async (direction) => {
      const proxy = await startProxy(await startEngine());
      const instance = await connected(proxy.endpoint, { budgets: quickPings });
      const before = epochOf(instance);
      proxy[direction] = { isBlackhole: true };
      const sinceMs = performance.now();
      await instance.reached('degraded', 'reconnecting');
      expect(instance.scheduler.status.fault?.message).toContain(
        `no answer to a ping in ${quickPings.pingTimeoutMs} ms`,
      );
      expect(performance.now() - sinceMs).toBeLessThan(5_000);
      proxy[direction] = {};
      await inServiceAfter(instance, before);
      await provesItself(instance);
    },
  );

  it('S-46: latency with jitter and frames in slices are no death, and every byte arrives', async () => {
    const proxy = await startProxy(await startEngine());
    proxy.toServer = { delayMs: 150, jitterMs: 30, sliceBytes: 97 };
    proxy.toClient = { delayMs: 150, jitterMs: 30, sliceBytes: 7 };
    const instance = await connected(proxy.endpoint);
    await provesItself(instance);
    expect(epochOf(instance)).toBe(1);
    expect(proxy.accepted).toBe(1 + instance.workers.length);
  });

  it('S-46: a stream that is cut in the middle of a frame, anywhere in the first 400 bytes, is a lost link and nothing worse', async () => {
    const proxy = await startProxy(await startEngine());
    const instance = startInstance(proxy.endpoint);
    for (let bytes = 1; bytes < 400; bytes += 29) {
      proxy.toClient = { resetAfterBytes: bytes };
      const { accepted } = proxy;
      // A server that says less than so much to one who registers is asked until it has said it.
      await eventually('another dial', async () => {
        await ask(instance);
        return proxy.accepted > accepted ? true : null;
      });
    }
    proxy.toClient = {};
    const before = epochOf(instance);
    proxy.reset();
    await inServiceAfter(instance, before);
    await provesItself(instance);
  });

  it('S-40: when the address moves to another server the old one is fenced: its leases are refused, its registration ends', async () => {
    const [blue, green] = [await startEngine(), await startEngine()];
    const proxy = await startProxy(blue);
    const instance = await connected(proxy.endpoint);
    const hashes = hashesOf(2);
    await instance.save('kept', [0, 1], hashes);
    await instance.hit('asks', hashes);
    const before = epochOf(instance);
    proxy.target = green.grpcAddress;
    proxy.cut();
    await inServiceAfter(instance, before);
    expect(instance.scheduler.scheduleLoad('asks', [2, 3])).toBe(false);
    await provesItself(instance);
    await loadsTaken(green, 2 * instance.workers.length);
    await eventually('the old server to let go', async () => ((await instancesAt(blue)).length === 0 ? true : null));
    expect(await instancesAt(green)).toHaveLength(1);
  });

  it('S-40: of a name with two addresses the server at the second serves, and what the one at the first still copies stays held', async () => {
    const first = await startEngine();
    const proxy = await startProxy(first);
    const { hostname, port } = new URL(proxy.endpoint);
    const addresses = [hostname, '127.0.0.200'].map((address) => ({ address, family: 4 }));
    await startEngine({ addr: `127.0.0.200:${port}` });
    const lookup = vi
      .spyOn(dns, 'lookup')
      .mockImplementation(((_name: string, _options: object, done: LookupDone) =>
        done(null, addresses)) as typeof dns.lookup);
    onTestFinished(() => lookup.mockRestore());
    const instance = await connected(`http://both.test:${port}`, { worldSize: 1 });
    const [worker] = instance.workers;
    const before = epochOf(instance);
    await instance.save('kept', [0], hashesOf(1, 'kept'));
    await instance.hit('copied', hashesOf(1, 'kept'));
    await first.fault({ copyDelayMs: 12_000, copyAfterCloseMs: 60_000 });
    instance.scheduler.scheduleLoad('copied', [3]);
    await stepIntoLoad(first, instance);
    await proxy.refuse();
    proxy.cut();
    await inServiceAfter(instance, before);
    await provesItself(instance);
    // The refused dial, the other server and its answer to the Unregister say nothing of the process that copies.
    expect(worker!.quarantine('load')).toMatchObject({ blocks: 1, ended: { strongProof: 0, threadsGone: 0 } });
    await instance.ended('copied', 'loaded', 40_000);
    expect(worker!.quarantine('load')).toMatchObject({ blocks: 0, ended: { unsafeRelease: 0, strongProof: 0 } });
  });

  it('S-66: roles that find themselves at different servers are out of service, not in a loop, until they meet', async () => {
    const [blue, green] = [await startEngine(), await startEngine()];
    const [front, back] = [await startProxy(blue), await startProxy(blue)];
    const budgets = { voidBackoffFirstMs: 50, voidBackoffMaxMs: 200 };
    const instance = await connected(front.endpoint, { rankEndpoint: back.endpoint, budgets });
    const before = epochOf(instance);
    front.target = green.grpcAddress;
    front.cut();
    const published: string[] = [];
    const unlisten = instance.scheduler.onStatus(({ state }) => published.push(state));
    await eventually('several void generations', () => (epochOf(instance) > before + 3 ? true : null));
    expect(published).not.toContain('connected');
    unlisten();
    const apart = epochOf(instance);
    // The ranks' links to the first one live on: they dial afresh because they are told to.
    back.target = green.grpcAddress;
    await inServiceAfter(instance, apart - 1);
    await provesItself(instance);
    expect(await instancesAt(green)).toHaveLength(1);
    const reason = expect.stringContaining('another server than the scheduler’s');
    expect(await instance.scheduler.stop()).toEqual({ kind: 'unconfirmed', reason });
  });

  itNeeds('a pause between its two stores')(
    'S-59: what only one of the two stores of the server still holds does not stand in the way',
    async () => {
      const engine = await startEngine({
        faults: { methods: { registerContextBatch: { betweenStepsMs: 60_000, times: 1 } } },
      });
      const proxy = await startProxy(engine);
      const instance = startInstance(proxy.endpoint, { budgets: quickPings });
      await engine.logged('Registered context batch');
      // No call and no session of the first attempt ends, so nothing but our clear removes what it left.
      proxy.strand();
      await instance.reached('connected');
      await provesItself(instance);
    },
  );

  it('S-58: a sealed instance that a predecessor left under the same id is cleared, never kept', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const instanceId = 'inherited';
    // It finds out only after all this that it was cut off.
    const budgets = { pingTimeoutMs: 60_000, auditFirstMs: 60_000 };
    const predecessor = await connected(proxy.endpoint, { instanceId, budgets });
    const hashes = hashesOf(1);
    for (const rank of predecessor.memory) rank.fill(0, 1);
    await predecessor.save('kept', [0], hashes);
    proxy.strand();
    const instance = await connected(endpointOf(engine), { instanceId });
    await instance.hit('asks', hashes);
    instance.scheduler.scheduleLoad('asks', [3]);
    await instance.ended('asks', 'loaded');
    expect(instance.memory.every((rank) => rank.holds(3, 1))).toBe(true);
    expect(predecessor.memory.some((rank) => rank.holds(3, 1))).toBe(false);
    expect(await instancesAt(engine)).toEqual([instanceId]);
  });
});
