/** A load ends in a record in shared memory, which the server opens by its name: where it cannot, no load can succeed. */
import { describe, expect, it } from 'vitest';
import { budgetsFrom, FaultError } from '../../../machines/index.ts';
import { recordFault } from '../../../src/connector/transfers/record-check.ts';
import type { EngineClient, ServerLink } from '../../../src/rpc/connection.ts';
import { logTable } from '../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { freePort } from '../../support/free-port.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { LOOPBACK_HOST } from '../../support/loopback.ts';
import { own } from '../../support/own.ts';
import { canOwnShm, OWN_SHM_LAUNCHER } from '../../support/own-shm.ts';
import {
  connected,
  endpointOf,
  kill,
  loadsTaken,
  provesItself,
  startEngine,
  successorOf,
} from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

const RANKS = 2;

describe('a rank whose instance is in service', () => {
  it('asks once in each registration whether its load records can be written, and nothing is logged of it', async () => {
    const first = await startEngine();
    const instance = await connected(endpointOf(first), { worldSize: RANKS });
    await loadsTaken(first, RANKS);
    await kill(first);
    const second = await successorOf(first);
    await loadsTaken(second, RANKS);
    for (const { log } of [first, second]) expect(log).not.toContain('RPC [load] failed');
    await provesItself(instance);
    expect(await second.rpcCount('load')).toBe(2 * RANKS);
    expect(instance.scheduler.status.openBreakers).toEqual([]);
  });
});

const lack = canOwnShm() ? '' : ' (this host makes no mount namespaces)';

describe.skipIf(lack)(`a server with another /dev/shm than its ranks${lack}`, () => {
  it('S-80: is found before a hit is lost to it, which is told once, and loads go on once it is shared', async () => {
    const log = new LogRecorder();
    const addr = `${LOOPBACK_HOST}:${await freePort(LOOPBACK_HOST)}`;
    const budgets = { breakerFirstMs: 60_000 };
    const instance = own(new TestInstance(`http://${addr}`, { worldSize: RANKS, budgets, telemetry: { logger: log } }));
    const apart = await startEngine({ addr }, { launcher: OWN_SHM_LAUNCHER });
    instance.start();
    await instance.reached('connected');
    await eventually('the breaker', () => (instance.scheduler.status.openBreakers.length > 0 ? true : null));
    const [open] = instance.scheduler.status.openBreakers;
    expect(open).toMatchObject({ breaker: 'loads', fault: { isOfRecord: true } });
    await instance.save('saves', [0, 1], hashesOf(2));
    expect(await instance.scheduler.query({ requestId: 'asks', blockHashes: hashesOf(2) })).toEqual({
      kind: 'miss',
      reason: 'breakerOpen',
    });
    for (const { stats } of instance.workers) {
      expect([stats.saves, stats.loads]).toEqual([
        { succeeded: 1, failed: 0, refused: 0 },
        { succeeded: 0, failed: 0, refused: 0 },
      ]);
    }
    const told = log.lines.filter(({ message }) => message === logTable.breakerOpened.message);
    expect(told).toEqual([expect.objectContaining({ level: 'warn' })]);
    expect(JSON.stringify(told)).toContain('have to share /dev/shm');
    await kill(apart);
    await successorOf(apart);
    await eventually('loads', async () => {
      if (instance.scheduler.status.state !== 'connected') return null;
      await provesItself(instance);
      return true;
    });
    expect(instance.scheduler.status.openBreakers).toEqual([]);
  });
});

it.each([
  ['nobody answers', (signal: AbortSignal) => new Promise((_, reject) => signal.addEventListener('abort', reject))],
  ['the refusal is about something else', () => Promise.reject(new FaultError({ kind: 'forgotten', message: 'gone' }))],
])('a load of nothing shows nothing where %s', async (_, answer) => {
  const client = { load: (_request: unknown, { signal }: { signal: AbortSignal }) => answer(signal) };
  const call = (rpc: (client: EngineClient) => Promise<unknown>) => rpc(client as unknown as EngineClient);
  const rank = { instanceId: 'i', tpRank: 0, ppRank: 0, deviceId: 0 };
  const budgets = budgetsFrom({ recordCheckTimeoutMs: 100 });
  expect(await recordFault({ call } as unknown as ServerLink, rank, budgets)).toBe(null);
});
