import { randomBytes } from 'node:crypto';
import { type Client, Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { LoadState } from '../../native-bindings/load-state.ts';
import type { Engine } from '../../src/gen/pegaflow/engine_pb.ts';
import { faultFromRpc } from '../../src/rpc/fault-from-rpc.ts';
import { hashesOf, type RankOptions, TestConnection, TestRank, TestSession } from '../support/engine-rank.ts';
import { own } from '../support/own.ts';
import { RealServer } from '../support/real-server.ts';
import { publishedVersions } from './published-wheels.ts';

const alive = { end: null, isDraining: false };
const [block, other] = hashesOf(2) as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
type Calls = Client<typeof Engine>;
type Fields<Method extends 'registerContextBatch' | 'save' | 'load'> = Parameters<Calls[Method]>[0];

/** One server with an instance `a` of one rank and a `half` of two, and every call as it should be, to be changed. */
class Scene {
  readonly server: RealServer;
  readonly client: Calls;
  readonly rank: TestRank;
  readonly #driver = createEmulatedDriver();

  private constructor(server: RealServer) {
    this.server = server;
    this.client = own(new TestConnection(`http://${server.grpcAddress}`)).client;
    this.rank = this.rankOf({ instanceId: 'a' });
  }

  static async start(version: (typeof publishedVersions)[number]): Promise<Scene> {
    const scene = new Scene(own(await RealServer.start({ version, poolSizeBytes: 1 << 20 })));
    await scene.rank.register();
    await scene.rankOf({ instanceId: 'half', worldSize: 2, tpSize: 2 }).register();
    await scene.rank.save([0], [block]);
    await scene.client.release({ lease: (await scene.rank.visible([block])).lease });
    return scene;
  }

  rankOf(options: RankOptions): TestRank {
    return own(new TestRank(this.client, this.#driver, { clientVersion: this.server.version, ...options }));
  }

  register(change: Fields<'registerContextBatch'>, options: RankOptions = {}) {
    return this.client.registerContextBatch({ ...this.rankOf(options).registration(), ...change });
  }

  save(change: Fields<'save'>, layer: object = {}) {
    const saves = [{ layerName: 'layer.0', blockIds: [0], blockHashes: [other], ...layer }];
    return this.client.save({ instanceId: 'a', tpRank: 0, deviceId: 0, ppRank: 0, saves, ...change });
  }

  async load(change: Fields<'load'>, lease?: Uint8Array<ArrayBuffer>) {
    const record = own(LoadState.create());
    const held = lease ?? ((await this.rank.visible([block])).lease as Uint8Array<ArrayBuffer>);
    const targets = [{ target: { case: 'blockId' as const, value: 3 } }];
    await this.client.load({
      instanceId: 'a',
      tpRank: 0,
      deviceId: 0,
      loadStateShm: record.name,
      groups: [{ layerNames: ['layer.0', 'layer.1'] }],
      loads: [{ lease: held, blockIdsByGroup: [{ targets }] }],
      ...change,
    });
  }

  query(change: Parameters<Calls['queryPrefetch']>[0]) {
    return this.client.queryPrefetch({ instanceId: 'a', blockHashes: [block], reqId: 'asks', ...change });
  }
}

/** Every refusal that can be provoked without harm, with the fault that it is. */
const provocations: Readonly<Record<string, readonly [string, (scene: Scene) => Promise<unknown>]>> = {
  'another version': ['incompatible', (s) => s.register({ clientVersion: '0.0.1' })],
  'no version': ['incompatible', (s) => s.register({ clientVersion: '' })],
  'a device below 0': ['rejected', (s) => s.register({ deviceId: -1 })],
  'no tensor parallelism': ['rejected', (s) => s.register({ tpSize: 0 })],
  'no world': ['rejected', (s) => s.register({ worldSize: 0 })],
  'a rank out of range': ['rejected', (s) => s.register({ tpRank: 1 })],
  'no layers': ['rejected', (s) => s.register({ layerNames: [] })],
  'too many groups': ['rejected', (s) => s.register({ layerGroupIds: [0, 0, 0] })],
  'a layer twice': ['rejected', (s) => s.register({ layerNames: ['x', 'x'] })],
  'a broken wrapper': ['rejected', (s) => s.register({ wrapperBytes: [randomBytes(8), randomBytes(8)] })],
  'blocks of no bytes': ['rejected', (s) => s.register({ bytesPerBlock: [0n, 0n] })],
  'segments that overlap': ['rejected', (s) => s.register({ bytesPerBlock: [1n << 20n, 1n << 20n] })],
  'a gap among the groups': ['rejected', (s) => s.register({ layerGroupIds: [0, 2] })],
  'the same registration again': ['rejected', (s) => s.rank.register()],
  'the same device as another stage': ['rejected', (s) => s.register({}, { instanceId: 'a', ppRank: 1 })],
  'a rank beyond the world': ['rejected', (s) => s.register({}, { instanceId: 'a', deviceId: 1 })],
  'another topology': ['rejected', (s) => s.register({}, { instanceId: 'a', deviceId: 1, worldSize: 2 })],
  'memory of another device': ['rejected', (s) => s.register({ deviceId: 1 })],
  'a save by a device below 0': ['rejected', (s) => s.save({ deviceId: -1 })],
  'a save with too few hashes': ['rejected', (s) => s.save({}, { blockIds: [0, 1] })],
  'a save of an unknown instance': ['forgotten: instance', (s) => s.save({ instanceId: 'nobody' })],
  'a save before the seal': ['forgotten: seal', (s) => s.save({ instanceId: 'half' })],
  'a save by an unknown device': ['forgotten: device', (s) => s.save({ deviceId: 1 })],
  'a save as another rank': ['forgotten: device', (s) => s.save({ tpRank: 1 })],
  'a save as another stage': ['forgotten: device', (s) => s.save({ ppRank: 1 })],
  'a save of an unknown layer': ['forgotten: device', (s) => s.save({}, { layerName: 'zz' })],
  'a save of a block out of range': ['rejected', (s) => s.save({}, { blockIds: [99] })],
  'a save of a layer that another device has': [
    'forgotten: device',
    async (s) => {
      await s.rankOf({ instanceId: 'pp', worldSize: 2, layerNames: ['a'] }).register();
      await s.rankOf({ instanceId: 'pp', worldSize: 2, layerNames: ['c'], deviceId: 1, ppRank: 1 }).register();
      await s.save({ instanceId: 'pp' }, { layerName: 'c' });
    },
  ],
  'a save whose copy fails': [
    'defect',
    async (s) => {
      s.server.standIns({ copyFromDevice: { error: 700, times: 1 } });
      await s.save({});
    },
  ],
  'a load by a device below 0': ['rejected', (s) => s.load({ deviceId: -1 })],
  'a load without a lease': ['rejected', (s) => s.load({}, new Uint8Array())],
  'a load of a short lease': ['rejected', (s) => s.load({}, new Uint8Array(3))],
  'a load without a record': ['rejected', (s) => s.load({ loadStateShm: 'nowhere' })],
  'a load of an unknown instance': ['forgotten: instance', (s) => s.load({ instanceId: 'nobody' })],
  'a load before the seal': ['forgotten: seal', (s) => s.load({ instanceId: 'half' })],
  'a load by an unknown device': ['forgotten: device', (s) => s.load({ deviceId: 1 })],
  'a load of no group': ['rejected', (s) => s.load({ groups: [] })],
  'a load of a layer twice': ['rejected', (s) => s.load({ groups: [{ layerNames: ['layer.0', 'layer.0'] }] })],
  'a load of an unknown layer': ['forgotten: device', (s) => s.load({ groups: [{ layerNames: ['zz'] }] })],
  'a load of an unknown lease': ['forgotten: lease', (s) => s.load({}, randomBytes(16))],
  'a load with too few targets': [
    'rejected',
    (s) => s.load({ groups: [{ layerNames: ['layer.0'] }, { layerNames: ['layer.1'] }] }),
  ],
  'a load as a rank out of range': ['rejected', (s) => s.load({ tpRank: 5 })],
  'a load of fewer blocks than the lease has': [
    'rejected',
    async (s) => s.load({ loads: [{ lease: await leaseOf(s.rank), blockIdsByGroup: [{ targets: [] }] }] }),
  ],
  "a load of another instance's lease": [
    'rejected',
    async (s) => {
      await s.rankOf({ instanceId: 'b', layerNames: ['one'] }).register();
      await s.load({ instanceId: 'b', groups: [{ layerNames: ['one'] }] });
    },
  ],
  'a load of blocks in another layout': [
    'rejected',
    async (s) => {
      const fewer = s.rankOf({ instanceId: 'fewer', namespace: 'a', layerNames: ['one'] });
      await fewer.register();
      await s.load({ instanceId: 'fewer', groups: [{ layerNames: ['one'] }] }, await leaseOf(fewer));
    },
  ],
  'a load of a layer that another device has': [
    'forgotten: device',
    async (s) => {
      const shared = { instanceId: 'stages', worldSize: 2 };
      const first = s.rankOf({ ...shared, layerNames: ['a'] });
      const second = s.rankOf({ ...shared, layerNames: ['c'], deviceId: 1, ppRank: 1 });
      for (const rank of [first, second]) await rank.register();
      for (const rank of [first, second]) await rank.save([0], [block]);
      const groups = [{ layerNames: ['a'] }];
      await s.load({ instanceId: 'stages', deviceId: 1, groups }, await leaseOf(first));
    },
  ],
  'a query without a request': ['rejected', (s) => s.query({ reqId: '' })],
  'a query of an unknown instance': ['forgotten: instance', (s) => s.query({ instanceId: 'nobody' })],
  'a query of an unknown group': ['rejected', (s) => s.query({ groupId: 7 })],
  'a query of a group before the seal': ['forgotten: seal', (s) => s.query({ instanceId: 'half', groupId: 7 })],
  'a release of no lease': ['rejected', (s) => s.client.release({ lease: new Uint8Array() })],
  'a release of a short lease': ['rejected', (s) => s.client.release({ lease: new Uint8Array(2) })],
  'a release of an unknown lease': ['forgotten: lease', (s) => s.client.release({ lease: randomBytes(16) })],
  'an unregistration of nothing': ['forgotten: instance', (s) => s.client.unregisterContext({ instanceId: 'nobody' })],
  'a session of nobody': ['rejected', (s) => TestSession.open(s.client, '')],
  'a transfer between servers': ['rejected', (s) => s.client.rdmaHandshake({})],
  'a message over 64 MiB': [
    'rejected',
    (s) => s.query({ blockHashes: Array.from({ length: 70 }, () => new Uint8Array(1 << 20)) }),
  ],
  // Evicts the blocks of the others.
  'a save beyond the pool': [
    'rejected',
    async (s) => {
      const layerNames = Array.from({ length: 200 }, (_, i) => `l${i}`);
      const big = s.rankOf({ instanceId: 'big', layerNames });
      await big.register();
      await big.save([0, 1, 2, 3, 4, 5, 6, 7], hashesOf(8, 'big'));
    },
  ],
};

async function leaseOf(rank: TestRank): Promise<Uint8Array<ArrayBuffer>> {
  return (await rank.visible([block])).lease as Uint8Array<ArrayBuffer>;
}

describe.each(publishedVersions)('refusals of pegaflow-server %s', (version) => {
  it('are all known, and mean what they say', { timeout: 60_000 }, async () => {
    const scene = await Scene.start(version);
    const told: Record<string, string> = {};
    for (const [name, [, provoke]] of Object.entries(provocations)) {
      const error = await provoke(scene).then(
        () => null,
        (reason: unknown) => ConnectError.from(reason),
      );
      if (error === null) told[name] = 'was not refused';
      else {
        expect([name, error.metadata.has('grpc-status')]).toEqual([name, true]);
        const { kind, lost, isUnknown } = faultFromRpc(error, alive);
        const words = isUnknown ? ` (unknown: ${Code[error.code]} ${error.rawMessage})` : '';
        told[name] = `${kind}${lost === undefined ? '' : `: ${lost}`}${words}`;
      }
    }
    expect(told).toEqual(Object.fromEntries(Object.entries(provocations).map(([name, [fault]]) => [name, fault])));
  });
});
