import { afterEach, describe, expect, it } from 'vitest';
import type { ServerProcess } from '../support/server-process.ts';
import { startServer } from '../support/server-under-test.ts';
import { TestInstance } from '../support/test-instance.ts';
import { eventually } from '../support/within.ts';

const INSTANCES = 64;
const RANKS = 8;
/** Of the registrations of each instance, in milliseconds: 512 of them in as many as this server can serve meanwhile. */
const SPREAD_MS = 5_000;
/** The spread, and what the server and 576 connections on two busy cores may need besides. */
const WINDOW_MS = 90_000;

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((resource) => resource[Symbol.asyncDispose]()));
}, 60_000);

function own<T extends AsyncDisposable>(resource: T): T {
  cleanups.push(resource);
  return resource;
}

function allConnected(instances: readonly TestInstance[]): Promise<true> {
  const isConnected = () => instances.every(({ scheduler }) => scheduler.status.state === 'connected');
  return eventually('all instances to be connected', () => (isConnected() ? true : null), WINDOW_MS);
}

/** Counts ranks with a Register under way; `peak` is the most there were at once. */
function watchRegistrations(instances: readonly TestInstance[]) {
  const underWay = new Set<unknown>();
  const seen = { peak: 0 };
  for (const worker of instances.flatMap(({ workers }) => workers)) {
    worker.onReport(() => {
      if (worker.status.path.startsWith('reRegistering.registering')) underWay.add(worker);
      else underWay.delete(worker);
      seen.peak = Math.max(seen.peak, underWay.size);
    });
  }
  return seen;
}

/** Registrations that the engine has answered, well or badly. */
async function registrationsAt(engine: ServerProcess): Promise<number> {
  const { text } = await engine.http('GET', '/metrics');
  const rows = text.matchAll(/^pegaflow_rpc_requests_total\{method="register_context_batch".*\} (\d+)$/gm);
  return [...rows].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('a herd', () => {
  it('S-36: 64 instances of 8 ranks come back to one server within the window, without a storm of registrations', {
    timeout: 3 * WINDOW_MS,
  }, async () => {
    const first = own(await startServer());
    const { grpcAddress, httpAddress } = first;
    const budgets = { registrationSpreadMs: SPREAD_MS };
    const instances = Array.from({ length: INSTANCES }, () =>
      own(new TestInstance(`http://${grpcAddress}`, { worldSize: RANKS, budgets })),
    );
    for (const instance of instances) instance.start();
    await allConnected(instances);
    const seen = watchRegistrations(instances);
    await first[Symbol.asyncDispose]();
    const second = own(await startServer({ addr: grpcAddress, httpAddr: httpAddress }));
    await allConnected(instances);
    // One each; a server that other work keeps from answering in time may be asked again by some.
    expect(await registrationsAt(second)).toBeLessThan(3 * INSTANCES * RANKS);
    expect(seen.peak).toBeGreaterThan(0);
    // Not spread they are all under way at once; spread, the busier the machine the more of them.
    expect(seen.peak).toBeLessThan((INSTANCES * RANKS * 7) / 8);
  });
});
