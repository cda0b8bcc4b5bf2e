import { Code } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { expectRefusal, hashesOf, hashOf, TestConnection, TestRank } from '../support/engine-rank.ts';
import { own } from '../support/own.ts';
import { RealServer, type RealServerOptions } from '../support/real-server.ts';
import { eventually, within } from '../support/within.ts';
import { publishedVersions } from './published-wheels.ts';

describe.each(publishedVersions)('pegaflow-server %s on its stand-ins', (version) => {
  const start = async (options: Omit<RealServerOptions, 'version'> = {}) =>
    own(await RealServer.start({ version, ...options }));

  async function registered(options: Omit<RealServerOptions, 'version'> = {}) {
    const server = await start(options);
    const rank = rankOf(server);
    await rank.register();
    return { server, rank };
  }

  function rankOf(server: RealServer): TestRank {
    const { client } = own(new TestConnection(`http://${server.grpcAddress}`));
    return own(new TestRank(client, createEmulatedDriver(), { clientVersion: version }));
  }

  it('keeps and gives back bytes of the emulated device', async () => {
    const { server, rank } = await registered();
    for (const block of [0, 1]) rank.fill(block, block + 1);
    await rank.save([0, 1], hashesOf(2));
    const { lease } = await rank.visible(hashesOf(2));
    expect(await (await rank.load(lease, [5, 6])).end()).toBe(1);
    expect([rank.holds(5, 1), rank.holds(6, 2)]).toEqual([true, true]);
    expect(await server.rpcCount('save', 'ok')).toBe(1);
    server.signal('SIGKILL');
    expect(await server.exited).toBe('SIGKILL');
  });

  it('fails a copy with the code that it is told, in one direction', async () => {
    const { server, rank } = await registered();
    await rank.save([0], hashesOf(1));
    const { lease } = await rank.visible(hashesOf(1));
    server.standIns({ copyFromDevice: { error: 700, times: 1 }, copyToDevice: { error: 700 } });
    await expectRefusal(rank.save([1], [hashOf('fails')]), Code.Internal, /CUDA_ERROR_ILLEGAL_ADDRESS$/);
    await rank.save([1], [hashOf('fails')]);
    expect(await (await rank.load(lease, [5])).end()).toBe(-1);
  });

  it('waits with a copy until it is told to go on', async () => {
    const { server, rank } = await registered();
    server.standIns({ copyFromDevice: { isBlocked: true } });
    const save = rank.save([0], hashesOf(1));
    await server.logged('stand-in: copy_from_device waits');
    expect((await rank.query(hashesOf(1))).numHitBlocks).toBe(0n);
    server.standIns({});
    await save;
    await rank.visible(hashesOf(1));
  });

  it('waits with a registration until it is told to go on, and raises what it is told', async () => {
    const server = await start({ faults: { methods: { registerContextBatch: { hang: true } } } });
    const rank = rankOf(server);
    const register = rank.register();
    await server.logged('stand-in: open waits');
    await rank.client.health({});
    await server.fault({ methods: { registerContextBatch: null } });
    await within(5_000, 'the registration', register);
    await rank.client.unregisterContext({ instanceId: rank.instanceId });
    server.standIns({ open: { error: 'CUDA error: out of memory', times: 1 } });
    await expectRefusal(rank.register(), Code.Internal, 'register tensor failed: CUDA error: out of memory');
    await rank.register();
  });

  it('waits with an unregistration, and keeps memory mapped that was closed', async () => {
    const { server, rank } = await registered();
    server.standIns({ close: { isBlocked: true, times: 1, keepMs: 60_000 } });
    const unregister = rank.client.unregisterContext({ instanceId: rank.instanceId });
    await server.logged('stand-in: close waits');
    expect(await rank.client.health({})).toMatchObject({ status: { ok: true } });
    server.standIns({});
    await within(5_000, 'the unregistration', unregister);
  });

  it('does not start without its pool', async () => {
    await expect(start({ standIns: { hostAllocation: { error: 2 } } })).rejects.toThrow(/ended with \d+: .*pool/s);
  });

  it('says why it refuses a switch that neither server nor stand-ins have', async () => {
    const server = await start();
    await expect(server.fault({ methods: { save: { hang: true } } })).rejects.toThrow('needs hasRpcFaults for save');
  });

  it('comes back on the same ports after a kill', async () => {
    const { server } = await registered();
    server.signal('SIGKILL');
    await server.exited;
    const heir = await start({ addr: server.grpcAddress, httpAddr: server.httpAddress });
    const { client } = own(new TestConnection(`http://${heir.grpcAddress}`));
    await eventually('an answer', () => client.health({}).catch(() => null));
    expect(heir.pid).not.toBe(server.pid);
  });
});
