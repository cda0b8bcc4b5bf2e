/** What the stories share: engines in processes of their own, instances at them, and an end that leaves nothing behind. */
import { expect } from 'vitest';
import type { ChildProcessOptions } from './engine-process.ts';
import { hashesOf } from './engine-rank.ts';
import { own } from './own.ts';
import type { ServerProcess } from './server-process.ts';
import { type ServerOptions, startServer } from './server-under-test.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { TestInstance, type TestInstanceOptions } from './test-instance.ts';
import { eventually } from './within.ts';

export const startEngine = async (options: ServerOptions = {}, how: ChildProcessOptions = {}) =>
  own(await startServer(options, how));

export async function kill(engine: ServerProcess): Promise<void> {
  engine.signal('SIGKILL');
  await engine.exited;
}

/** The same ports again, as an operator restarts a server. */
export const successorOf = (engine: ServerProcess, options: ServerOptions = {}) =>
  startEngine({ addr: engine.grpcAddress, httpAddr: engine.httpAddress, ...options });

export const startProxy = async (engine: ServerProcess) => own(await TcpProxy.start(engine.grpcAddress));

export const startInstance = (endpoint: string, options: TestInstanceOptions = {}) =>
  own(new TestInstance(endpoint, options).start());

export const endpointOf = (engine: ServerProcess) => `http://${engine.grpcAddress}`;

export async function connected(endpoint: string, options: TestInstanceOptions = {}): Promise<TestInstance> {
  const instance = startInstance(endpoint, options);
  await instance.reached('connected');
  return instance;
}

/** Settles when an epoch after `counter` is in service, on all ranks. */
export async function inServiceAfter(instance: TestInstance, counter: number): Promise<void> {
  await eventually(
    `an epoch after ${counter} in service`,
    () => {
      const all = [instance.scheduler, ...instance.workers].map(({ status }) => status);
      const isInService = all.every(({ state, epoch }) => state === 'connected' && (epoch?.counter ?? 0) > counter);
      return isInService ? true : null;
    },
    15_000,
  );
}

export const epochOf = (instance: TestInstance): number => instance.scheduler.status.epoch?.counter ?? 0;

export async function instancesAt(engine: ServerProcess): Promise<string[]> {
  return JSON.parse((await engine.http('GET', '/instances')).text).instances;
}

/** How many cached blocks leases hold; drops all others. */
export async function leasedBlocks(engine: ServerProcess): Promise<number> {
  return JSON.parse((await engine.http('POST', '/cache/memory/cleanup')).text).still_referenced_blocks;
}

/** Settles when the server has taken so many loads at least. Each rank sends one of nothing in each registration, once it is in service. */
export const loadsTaken = (engine: ServerProcess, count: number) =>
  eventually(`${count} loads`, async () => ((await engine.rpcCount('load', 'ok')) >= count ? true : null));

/** Makes a step, and settles when the server has taken a load of it. */
export async function stepIntoLoad(engine: ServerProcess, instance: TestInstance): Promise<void> {
  const taken = engine.nextLogged('RPC [load]');
  instance.step();
  await taken;
}

/** Asks something that only a registered instance can answer, so that a lost registration is noticed now. */
export const ask = (instance: TestInstance) =>
  instance.scheduler.query({ requestId: 'asks', blockHashes: hashesOf(1, 'asked') });

let seed = 0;

/** Saves, hits and loads blocks that nobody saved before, and compares every byte on every rank. */
export async function provesItself(instance: TestInstance): Promise<void> {
  seed += 1;
  const requestId = `proof-${seed}`;
  const hashes = hashesOf(2, requestId);
  for (const rank of instance.memory) for (const block of [0, 1]) rank.fill(block, seed * 2 + block);
  await instance.save(`${requestId}-saves`, [0, 1], hashes);
  await instance.hit(requestId, hashes);
  expect(instance.scheduler.scheduleLoad(requestId, [6, 7])).toBe(true);
  expect(await instance.ended(requestId, 'loaded')).toMatchObject({ failedLoads: [] });
  for (const rank of instance.memory) {
    expect([6, 7].map((block, index) => rank.holds(block, seed * 2 + index))).toEqual([true, true]);
  }
}
