import { Code } from '@connectrpc/connect';
import { LoadState } from '../../../native-bindings/index.ts';
import { expect } from '../expectation.ts';
import type { ItemGroup } from '../item-suite.ts';
import { expectRefusal, hashesOf, NUM_BLOCKS, uniqueId } from '../rank.ts';

/** C10: the record of a load. */
export const loadRecords: ItemGroup = (suite) => {
  suite.wireTest('C10 a device below 0 and a malformed lease leave the record pending', async () => {
    const state = suite.keep(LoadState.create());
    const base = { instanceId: uniqueId(), loadStateShm: state.name };
    await expectRefusal(suite.client.load({ ...base, deviceId: -1 }), Code.InvalidArgument, /must be >= 0$/);
    const malformed = suite.client.load({ ...base, loads: [{ lease: new Uint8Array(5) }] });
    await expectRefusal(malformed, Code.InvalidArgument, 'query lease id must be 16 bytes, got 5');
    expect(state.state()).toBe(0);
  });

  suite.wireTest('C10 a record that is not there is INTERNAL, before the instance is looked for', async () => {
    const load = suite.client.load({ instanceId: uniqueId(), loadStateShm: `pega_load_${uniqueId()}` });
    await expectRefusal(
      load,
      Code.Internal,
      'storage error: LoadState: failed to open shared memory: Opening the shared memory failed, os error 2',
    );
  });

  suite.savingTest('C10 a load without a destination succeeds at once', async ({ rank }) => {
    await rank.register();
    await rank.save([0], hashesOf(1));
    const { lease } = await rank.visible(hashesOf(1));
    const load = await rank.load(lease, [null]);
    expect([load.refusal, load.stateNow()]).toEqual([null, 1]);
  });

  suite.savingTest(
    'C10 a destination outside the device is accepted, ends in -1 and writes nowhere',
    async ({ rank }) => {
      await rank.register();
      await rank.save([0], hashesOf(1));
      const { lease } = await rank.visible(hashesOf(1));
      for (let i = 0; i < NUM_BLOCKS; i++) rank.fill(i, 40 + i);
      const load = await rank.load(lease, [NUM_BLOCKS]);
      expect([load.refusal, await load.end()]).toEqual([null, -1]);
      for (let i = 0; i < NUM_BLOCKS; i++) expect(rank.holds(i, 40 + i)).toBe(true);
    },
  );

  suite.memoryTest('C10 unknown, repeated and missing layers are refused', async ({ rank }) => {
    await rank.register();
    const load = async (layerNames: string[]) => rank.load(new Uint8Array(16), [0], { layerNames });
    await (await load(['layer.9'])).expectRefused(Code.InvalidArgument, /layer layer.9 is not registered$/);
    await (await load(['layer.0', 'layer.0'])).expectRefused(
      Code.InvalidArgument,
      /load layer names must be unique across groups$/,
    );
    const state = suite.keep(LoadState.create());
    const noGroup = rank.client.load({ instanceId: rank.instanceId, loadStateShm: state.name });
    await expectRefusal(noGroup, Code.InvalidArgument, /load requires at least one layer group$/);
  });

  suite.memoryTest('C10 a device that is not in the instance is named', async ({ rank }) => {
    await rank.register();
    const words = `device 3 not found in instance ${rank.instanceId}`;
    await (await rank.load(new Uint8Array(16), [0], { deviceId: 3 })).expectRefused(Code.FailedPrecondition, words);
  });
};
