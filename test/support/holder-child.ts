/**
 * One rank in a process of its own that registers its memory and says who holds it, then that this server is dead: for tests
 * where the rank may see less of this host than the test does. Its setup comes as JSON in the first argument.
 */
import { budgetsFrom } from '../../machines/index.ts';
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { memoryOf } from '../../src/connector/kv-caches.ts';
import { Connection } from '../../src/rpc/connection.ts';
import { ticksNow } from '../../src/rpc/holder/memory-holder.ts';
import { TestConnection, TestRank } from './engine-rank.ts';
import type { HolderMessage, HolderSetup } from './holder-process.ts';
import { layersOf } from './test-instance.ts';
import { eventually } from './within.ts';

const tell = (message: HolderMessage) => process.send?.(message);
// Nobody is left to end this process when its test is gone.
process.once('disconnect', () => process.exit());

/** Others of this host register on the first ones at any moment, and who sees no mappings cannot tell their threads from ours. */
const DEVICE = 7;

const { endpoint, before, isCuda, isDirect = false }: HolderSetup = JSON.parse(process.argv[2] ?? '');
const connection = new Connection({ endpoint, budgets: budgetsFrom(), isDirect, onProof: (found) => tell({ found }) });
await new Promise<void>((resolve) => {
  connection.open({ up: resolve, draining: () => {}, down: ({ fault }) => tell({ ended: fault.message }) });
});
const rank = new TestRank(new TestConnection(before ?? endpoint).client, createEmulatedDriver(), { deviceId: DEVICE });
if (before !== undefined) {
  await rank.register();
  // One tick further is still taken for ours.
  const overTicks = ticksNow() + 3;
  await eventually('the next ticks', () => (ticksNow() >= overTicks ? true : null));
}
const memory = memoryOf(rank.deviceId, layersOf(rank));
// /proc tells of no mappings of a CUDA device.
const search = connection.beginRegistration(isCuda ? { ...memory, segments: [] } : memory);
const { server } = connection;
await server.call((client) => client.registerContextBatch(rank.registration()));
search.answered();
server.watch({ lost: () => {}, dead: (proof) => tell({ proof }) });
