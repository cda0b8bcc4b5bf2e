/** One process per role, as vLLM runs: what happens when one of them stands still, dies or comes back. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { SchedulerConnectorOptions } from '../../src/connector/index.ts';
import { startEngine as startEngineHere } from '../../src/engine/index.ts';
import { uniqueId } from '../support/engine-rank.ts';
import { LOOPBACK_HOST } from '../support/loopback.ts';
import { missing } from '../support/missing.ts';
import { BLIND_LAUNCHER, canBlind } from '../support/netns.ts';
import { own } from '../support/own.ts';
import { RoleProcess } from '../support/role-process.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { itNeeds, type ServerOptions } from '../support/server-under-test.ts';
import { endpointOf, instancesAt, kill, startEngine, successorOf } from '../support/story.ts';
import { publishedUnderTest } from '../support/version-under-test.ts';
import { eventually } from '../support/within.ts';

/** A published server asks after 30 s of silence, and waits 20 s for the answer. */
const PINGS =
  publishedUnderTest === null
    ? { options: { pingIntervalMs: 300, pingTimeoutMs: 200 }, dropTimeoutMs: 5_000 }
    : { options: {}, dropTimeoutMs: 80_000 };

interface Roles {
  readonly scheduler: RoleProcess;
  readonly ranks: RoleProcess[];
  readonly startRank: (rank: number) => RoleProcess;
}

async function startRoles(
  engineOptions: ServerOptions = {},
  budgets: SchedulerConnectorOptions['budgets'] = {},
): Promise<Roles & { readonly engine: ServerProcess }> {
  const engine = await startEngine(engineOptions);
  return { engine, ...rolesAt(endpointOf(engine), budgets) };
}

function rolesAt(
  endpoint: string,
  budgets: SchedulerConnectorOptions['budgets'] = {},
  launcher: readonly string[] = [],
): Roles {
  const instanceId = uniqueId();
  const worldSize = 2;
  const options = {
    endpoint,
    instanceId,
    namespace: instanceId,
    worldSize,
    tpSize: worldSize,
    budgets,
  };
  const scheduler = own(new RoleProcess({ role: 'scheduler', options }, launcher));
  const startRank = (rank: number) => {
    const place = { rank, tpRank: rank, deviceId: rank };
    const process = own(new RoleProcess({ role: 'rank', options: { ...options, ...place } }, launcher));
    scheduler.join(process);
    return process;
  };
  return { scheduler, ranks: [0, 1].map(startRank), startRank };
}

/** Engines in this process, one after the other at one address; the memory is that of other processes. */
async function startRolesHere() {
  const options = { httpAddr: null, addr: `${LOOPBACK_HOST}:0` };
  let engine = await startEngineHere(options);
  const { grpcAddress } = engine;
  own({ [Symbol.asyncDispose]: () => engine.close() });
  const roles = rolesAt(`http://${grpcAddress}`, {});
  const replaceEngine = async () => {
    await engine.close();
    engine = await startEngineHere({ ...options, addr: grpcAddress });
  };
  return { ...roles, replaceEngine };
}

const blindness = missing('a PID namespace (unshare)', canBlind());

/** Shared memory that this process has mapped. */
const mappedObjects = () =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('/dev/shm/')).length;

describe('roles in processes of their own', { timeout: 60_000 }, () => {
  it('S-10: a scheduler whose event loop was blocked until the server had given it up finds its registration lost and replays it', {
    timeout: 120_000,
  }, async () => {
    const { engine, scheduler, ranks } = await startRoles(PINGS.options);
    const before = await scheduler.inServiceAfter(0);
    scheduler.signal('SIGSTOP');
    const isDropped = async () => ((await instancesAt(engine)).length === 0 ? true : null);
    await eventually('the server to drop the instance', isDropped, PINGS.dropTimeoutMs);
    scheduler.signal('SIGCONT');
    const after = await scheduler.inServiceAfter(before);
    await Promise.all(ranks.map((rank) => rank.inServiceAfter(after - 1)));
    expect(await instancesAt(engine)).toHaveLength(1);
  });

  it('S-16: a rank that dies during the re-registration and returns as another process makes the instance whole, in one more generation', async () => {
    const { engine, scheduler, ranks, startRank } = await startRoles({}, { auditFirstMs: 50, auditIntervalMs: 50 });
    const before = await scheduler.inServiceAfter(0);
    await engine.fault({ methods: { registerContextBatch: { hang: true } } });
    await engine.http('POST', '/instances/cleanup');
    ranks[0]!.signal('SIGKILL');
    await eventually('the generation that the dead rank is missing from', () =>
      scheduler.status?.epoch && scheduler.status.epoch.counter > before ? true : null,
    );
    const heir = startRank(0);
    await engine.http('DELETE', '/faults');
    const after = await scheduler.inServiceAfter(before);
    await heir.inServiceAfter(before);
    expect(after - before).toBeLessThanOrEqual(3);
    expect(await instancesAt(engine)).toHaveLength(1);
  });

  it('S-49: an event loop that was blocked for longer than any ping may take loses nothing: data first, then the verdict', async () => {
    const budgets = { pingIntervalMs: 1, pingTimeoutMs: 600, auditFirstMs: 50, auditIntervalMs: 50 };
    const { engine, scheduler, ranks } = await startRoles({}, budgets);
    const roles = [scheduler, ...ranks];
    await Promise.all(roles.map((role) => role.inServiceAfter(0)));
    const toldBefore = roles.map((role) => role.told.length);
    // Pings follow each other so closely that every other stall or so begins while one is under way.
    for (const stallMs of Array(6).fill(900)) await Promise.all(roles.map((role) => role.stall(stallMs)));
    const asked = await engine.rpcCount('query_prefetch');
    await eventually('ten audits after it', async () =>
      (await engine.rpcCount('query_prefetch')) >= asked + 10 ? true : null,
    );
    expect(roles.map((role) => role.told.length)).toEqual(toldBefore);
  });

  it.skipIf(blindness)(
    `a server whose process no role can see is recovered from like any other${blindness ? ` (${blindness})` : ''}`,
    async () => {
      const first = await startEngine();
      const { scheduler, ranks } = rolesAt(endpointOf(first), {}, BLIND_LAUNCHER);
      const inServiceAfter = (counter: number) =>
        Promise.all([scheduler, ...ranks].map((role) => role.inServiceAfter(counter)));
      const [before = 0] = await inServiceAfter(0);
      await kill(first);
      const second = await successorOf(first);
      const [between = 0] = await inServiceAfter(before);
      second.signal('SIGINT');
      await second.exited;
      await successorOf(second);
      await inServiceAfter(between);
    },
  );

  itNeeds('many lives in one process')(
    'S-30: the same handles are opened by twenty servers one after the other, and nothing stays mapped',
    async () => {
      const { scheduler, ranks, replaceEngine } = await startRolesHere();
      const mapped: number[] = [];
      let counter = 0;
      for (let server = 0; server < 20; server += 1) {
        const after = counter;
        counter = await scheduler.inServiceAfter(after);
        await Promise.all(ranks.map((rank) => rank.inServiceAfter(after)));
        mapped.push(mappedObjects());
        await replaceEngine();
      }
      expect(mapped).toEqual(mapped.map(() => mapped[0]));
      expect(mapped[0]).toBeGreaterThan(0);
    },
  );
});
