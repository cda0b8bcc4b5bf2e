/** Several servers behind one address: a proxy deals out connections, or a name has several addresses. */
import dns, { type LookupAddress } from 'node:dns';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  connected,
  epochOf,
  inServiceAfter,
  instancesAt,
  kill,
  provesItself,
  startEngine,
  startProxy,
} from '../support/story.ts';

type LookupDone = (error: null, addresses: LookupAddress[]) => void;

describe('several servers behind one address', { timeout: 60_000 }, () => {
  it('S-85: a stop that asks another server than the one that holds the registration does not say clean', async () => {
    const [blue, green] = [await startEngine(), await startEngine()];
    const proxy = await startProxy(blue);
    const instance = await connected(proxy.endpoint);
    proxy.target = green.grpcAddress;
    // The first server is told nothing.
    proxy.cutClients();
    const outcome = await instance.scheduler.stop();
    expect(await instancesAt(blue)).toHaveLength(1);
    expect(outcome.kind).toBe('unconfirmed');
  });

  it('S-85: an older registration of ours is not kept when the address leads back to it', async () => {
    const [blue, green] = [await startEngine(), await startEngine()];
    const proxy = await startProxy(blue);
    const instance = await connected(proxy.endpoint);
    const first = epochOf(instance);
    proxy.target = green.grpcAddress;
    proxy.cutClients();
    await inServiceAfter(instance, first);
    const second = epochOf(instance);
    proxy.target = blue.grpcAddress;
    proxy.cutClients();
    await inServiceAfter(instance, second);
    expect(instance.workers.map((worker) => worker.takeReport().outcome)).toEqual(['registered', 'registered']);
    await provesItself(instance);
  });

  it('S-85: a stop that asks the same server on another link is clean', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const instance = await connected(proxy.endpoint);
    const before = epochOf(instance);
    proxy.cutClients();
    await inServiceAfter(instance, before);
    expect(await instance.scheduler.stop()).toEqual({ kind: 'clean' });
    expect(await instancesAt(engine)).toHaveLength(0);
  });

  it.each([
    ['unconfirmed', 'lives'],
    ['clean', 'is dead'],
  ] as const)(
    'S-85: a stop at the second address of a name is %s while a frozen server at the first %s',
    async (kind, how) => {
      const { first, instance, leadToSecond } = await startAtFirst(kind);
      first.signal('SIGSTOP');
      await leadToSecond();
      if (how === 'is dead') await kill(first);
      expect(await instance.scheduler.stop()).toMatchObject({ kind });
    },
  );

  it('S-85: a stop is clean back at the first address, once the server at the second is dead', async () => {
    const { first, second, instance, leadToFirst, leadToSecond } = await startAtFirst('back');
    first.signal('SIGSTOP');
    await leadToSecond();
    first.signal('SIGCONT');
    second.signal('SIGSTOP');
    await leadToFirst();
    await kill(second);
    expect(await instance.scheduler.stop()).toEqual({ kind: 'clean' });
  });
});

/** An instance at the first address of a name, and what leads it to another, in whose service it then is. */
async function startAtFirst(name: string) {
  const first = await startEngine();
  const [host = '', port] = first.grpcAddress.split(':');
  const second = await startEngine({ addr: `127.0.0.200:${port}` });
  let address = host;
  const lookup = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((_name: string, _options: object, done: LookupDone) =>
      done(null, [{ address, family: 4 }])) as typeof dns.lookup);
  onTestFinished(() => lookup.mockRestore());
  const instance = await connected(`http://${name}.test:${port}`, {
    budgets: { pingIntervalMs: 50, pingTimeoutMs: 500 },
  });
  const leadTo = async (next: string) => {
    const before = epochOf(instance);
    address = next;
    await inServiceAfter(instance, before);
  };
  return { first, second, instance, leadToFirst: () => leadTo(host), leadToSecond: () => leadTo('127.0.0.200') };
}
