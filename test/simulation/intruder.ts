import { create } from '@bufbuild/protobuf';
import { RegisterContextRequestSchema, SessionRequestSchema } from '../../src/gen/pegaflow/engine_pb.ts';
import { PEGAFLOW_VERSION } from '../../src/pegaflow-version.ts';
import { BLOCK_BYTES } from './content.ts';
import { DeviceMemory } from './device-memory.ts';
import type { Instance } from './instance.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

/** Somebody else who goes by our id: takes our session over, perhaps clears us and seals an instance of his own. */
export function admitIntruder(world: World, { shape }: Instance, random: Random): void {
  const { server } = world;
  const { instanceId, namespace, worldSize, layers, blocks } = shape;
  const { registrations } = server.engine;
  const call = () => ({ fault: {}, signal: new AbortController().signal });
  const isThorough = random.chance(0.5);
  const stayMs = random.between(1, 4_000);
  const enter = async () => {
    const session = registrations.openSession(create(SessionRequestSchema, { instanceId }), {});
    world.later(stayMs, () => server.post(() => void registrations.endSession(session)));
    if (!isThorough) return;
    await registrations.unregister(create(SessionRequestSchema, { instanceId }) as never, call());
    for (let rank = 0; rank < worldSize; rank++) {
      const wrappers = Array.from({ length: layers }, () => {
        return new DeviceMemory(world.kernel, rank, blocks, BLOCK_BYTES, () => {}).wrapperBytes;
      });
      const request = create(RegisterContextRequestSchema, {
        instanceId,
        namespace,
        tpRank: rank,
        tpSize: worldSize,
        worldSize,
        deviceId: rank,
        clientVersion: PEGAFLOW_VERSION,
        layerNames: wrappers.map((_, layer) => `layer ${layer}`),
        wrapperBytes: wrappers,
        numBlocks: wrappers.map(() => BigInt(blocks)),
        bytesPerBlock: wrappers.map(() => BigInt(BLOCK_BYTES)),
        kvStrideBytes: wrappers.map(() => 0n),
        segments: wrappers.map(() => 1),
      });
      await registrations.register(request, call());
    }
  };
  server.post(() => void enter().catch(() => {}));
}
