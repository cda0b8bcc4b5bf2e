import { Code } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { expectRefusal, TestConnection, TestRank, uniqueId } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import {
  connected,
  endpointOf,
  epochOf,
  inServiceAfter,
  kill,
  provesItself,
  startEngine,
} from '../../support/story.ts';

const start = (...[options = {}]: Parameters<typeof startEngine>) => startEngine(options, { grpc: 'connect-node' });

describe('a server of connect-node', () => {
  it('is registered with, saved to, queried and loaded from, and its restart is recovered from', async () => {
    const first = await start();
    const instance = await connected(endpointOf(first), { worldSize: 2 });
    await provesItself(instance);
    const epoch = epochOf(instance);
    await kill(first);
    await instance.reached('reconnecting');
    await start({ addr: first.grpcAddress, httpAddr: first.httpAddress });
    await inServiceAfter(instance, epoch);
    await provesItself(instance);
  });

  it('loses a registration and an answer, and the instance comes back from both', async () => {
    const engine = await start();
    const instance = await connected(endpointOf(engine), { worldSize: 1 });
    const { httpAddress } = engine;
    const epoch = epochOf(instance);
    await engine.fault({ methods: { registerContextBatch: { loseAck: true, times: 1 } } });
    await fetch(`http://${httpAddress}/instances/cleanup`, { method: 'POST' });
    await inServiceAfter(instance, epoch);
    await provesItself(instance);
  });

  it('refuses in the words of the engine, and ends a deadline', async () => {
    const engine = await start();
    const { client } = own(new TestConnection(endpointOf(engine)));
    const rank = own(new TestRank(client, createEmulatedDriver()));
    await expectRefusal(client.save({ instanceId: 'nobody' }), Code.FailedPrecondition, 'instance nobody not found');
    await rank.register();
    await engine.fault({ methods: { queryPrefetch: { hang: true } } });
    const late = client.queryPrefetch({ instanceId: rank.instanceId, reqId: uniqueId() }, { timeoutMs: 100 });
    await expect(late).rejects.toMatchObject({ code: expect.toBeOneOf([Code.Canceled, Code.DeadlineExceeded]) });
  });
});
