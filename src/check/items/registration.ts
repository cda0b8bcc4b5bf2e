import { Code } from '@connectrpc/connect';
import { type ItemGroup, PROBE_GROUP } from '../item-suite.ts';
import { expectRefusal, NUM_BLOCKS } from '../rank.ts';

/** C11: registration. */
export const registration: ItemGroup = (suite) => {
  suite.wireTest('C11 the version is checked before everything else and the answer names both', async () => {
    const register = (clientVersion: string) => suite.client.registerContextBatch({ clientVersion, deviceId: -1 });
    await expectRefusal(
      register(''),
      Code.FailedPrecondition,
      /^PegaFlow version mismatch: client=<missing> server=\d+\.\d+\.\d+$/,
    );
    await expectRefusal(register('0.0.1'), Code.FailedPrecondition, /version mismatch: client=0\.0\.1 server=/);
  });

  suite.memoryTest('C11 what is wrong in itself is INVALID_ARGUMENT', async ({ rank }) => {
    const base = rank.registration();
    const register = (change: object) => rank.client.registerContextBatch({ ...base, ...change });
    await expectRefusal(register({ deviceId: -1 }), Code.InvalidArgument, 'device_id -1 must be >= 0');
    await expectRefusal(register({ worldSize: 0 }), Code.InvalidArgument, 'world_size must be > 0');
    await expectRefusal(register({ tpSize: 0 }), Code.InvalidArgument, 'tp_size must be > 0');
    await expectRefusal(register({ tpRank: 1 }), Code.InvalidArgument, 'tp_rank 1 out of range (tp_size 1)');
    const lengths = 'all layer arrays must have the same non-zero length';
    await expectRefusal(register({ segments: [1] }), Code.InvalidArgument, `${lengths} (got layer_names=2)`);
    await expectRefusal(register({ layerNames: [] }), Code.InvalidArgument, `${lengths} (got layer_names=0)`);
  });

  suite.memoryTest('C11 a layout that does not fit is refused and leaves the key free', async ({ rank }) => {
    const base = rank.registration();
    const register = (change: object) => rank.client.registerContextBatch({ ...base, ...change });
    const tooMany = register({ numBlocks: [BigInt(NUM_BLOCKS), BigInt(2 * NUM_BLOCKS + 1)], segments: [1, 1] });
    await expectRefusal(tooMany, Code.InvalidArgument, /layer layer\.1: .*registered memory too small/);
    const overlapping = register({ kvStrideBytes: [10n, 10n] });
    await expectRefusal(
      overlapping,
      Code.InvalidArgument,
      /layer layer\.0: kv_stride_bytes 10 < segment_bytes \d+: segments would overlap$/,
    );
    const mismatch = register({ layerGroupIds: [0] });
    await expectRefusal(
      mismatch,
      Code.InvalidArgument,
      /registration metadata length mismatch: layer_names=2, layer_group_ids=1$/,
    );
    await rank.register();
    await rank.save([], []);
  });

  suite.memoryTest('C11 wrapper bytes that are none are INTERNAL and leave nothing behind', async ({ rank }) => {
    const broken = { ...rank.registration(), wrapperBytes: [rank.wrapper('layer.0'), new Uint8Array([1, 2])] };
    await expectRefusal(rank.client.registerContextBatch(broken), Code.Internal, /^register tensor failed: /);
    const twice = { ...rank.registration(), layerNames: ['layer.0', 'layer.0'] };
    const words = /^register tensor failed: layer layer\.0 appears more than once in context .*:tp0:pp0:dev0$/;
    await expectRefusal(rank.client.registerContextBatch(twice), Code.Internal, words);
    await rank.register();
  });

  suite.memoryTest('C11 memory of another device is refused', async ({ rank }) => {
    const elsewhere = { ...rank.registration(), deviceId: 1 };
    const words = /^register tensor failed: context .*:tp0:pp0:dev1 is pinned to device 1 but got 0$/;
    await expectRefusal(rank.client.registerContextBatch(elsewhere), Code.Internal, words);
  });

  suite.memoryTest('C11 a second registration of the same rank is INTERNAL and harms nothing', async ({ rank }) => {
    await rank.register();
    const words = `register tensor failed: context ${rank.instanceId}:tp0:pp0:dev0 is already registered`;
    await expectRefusal(rank.register(), Code.Internal, words);
    await rank.save([], []);
  });

  suite.memoryTest(
    'C11 another world size is a topology mismatch until the instance is gone',
    async ({ rank, driver }) => {
      const { instanceId } = rank;
      const other = suite.rankOf(driver, { instanceId, tpSize: 2, worldSize: 2, deviceId: 1 });
      await rank.register();
      const words =
        /^topology mismatch: instance .* exists with tp=1, world=1, page_first=false; requested tp=2, world=2/;
      await expectRefusal(other.register(), Code.FailedPrecondition, words);
      await rank.client.unregisterContext({ instanceId });
      await other.register();
    },
  );

  suite.memoryTest('C11 a sealed instance takes no more devices, and no device twice', async ({ rank, driver }) => {
    const { instanceId } = rank;
    await rank.register();
    const late = suite.rankOf(driver, { instanceId, deviceId: 1 });
    await expectRefusal(
      late.register(),
      Code.InvalidArgument,
      /already fully registered \(1 workers\); device 1 cannot join/,
    );
    const twin = suite.rankOf(driver, { instanceId, ppRank: 1 });
    await expectRefusal(twin.register(), Code.InvalidArgument, /GPU context for device 0 already exists/);
  });

  suite.memoryTest(
    'C11 a seal that fails adds nothing, and the right rank can still seal',
    async ({ rank, driver }) => {
      const { instanceId } = rank;
      const base = { instanceId, tpSize: 2, worldSize: 2, deviceId: 1, tpRank: 1 };
      await rank.register();
      const partial = suite.rankOf(driver, { ...base, layerNames: ['layer.0'] });
      const words =
        /incomplete KV registration: layer layer\.1 has no owner for tp_rank 1 after all 2 workers registered$/;
      await expectRefusal(partial.register(), Code.InvalidArgument, words);
      const sameRank = suite.rankOf(driver, { ...base, tpRank: 0, ppRank: 1 });
      await expectRefusal(
        sameRank.register(),
        Code.InvalidArgument,
        /layer layer\.\d claimed by different pipeline stages: device=\d pp_rank=\d; device=\d pp_rank=\d tp_rank=0$/,
      );
      const geometry = suite.rankOf(driver, { ...base, segments: 1 });
      await expectRefusal(
        geometry.register(),
        Code.InvalidArgument,
        /layer layer\.\d registered with inconsistent geometry: segment_bytes=512 split=\w+ padded_block_bytes=\d+ vs /,
      );
      const regrouped = suite.rankOf(driver, { ...base, layerGroupIds: [0, 1] });
      await expectRefusal(
        regrouped.register(),
        Code.InvalidArgument,
        /layer layer\.1 registered in storage group [01] on one device but group [01] on device [01]$/,
      );
      await suite.rankOf(driver, base).register();
      await rank.save([], []);
    },
    { tpSize: 2, worldSize: 2 },
  );

  suite.memoryTest(
    'C11 storage groups have to be dense',
    async ({ rank }) => {
      await expectRefusal(
        rank.register(),
        Code.InvalidArgument,
        /storage groups must be dense 0\.\.3: an unregistered group would never seal its blocks$/,
      );
      const probe = rank.client.queryPrefetch({
        instanceId: rank.instanceId,
        reqId: 'probe',
        groupId: PROBE_GROUP,
      });
      await expectRefusal(probe, Code.InvalidArgument, /registration incomplete: 0\/1 workers registered$/);
    },
    { layerGroupIds: [0, 2] },
  );
};
