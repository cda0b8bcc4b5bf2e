import { create } from '@bufbuild/protobuf';
import { RegisterContextRequestSchema, SessionRequestSchema } from '../../src/gen/pegaflow/engine_pb.ts';
import { BLOCK_BYTES } from './content.ts';
import { DeviceMemory } from './device-memory.ts';
import type { Instance, InstanceShape } from './instance.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

const call = () => ({ fault: {}, signal: new AbortController().signal });

/** Somebody else takes our session over for a while; when he leaves, the server forgets the instance. */
export function admitIntruder({ later, server }: World, { shape: { instanceId } }: Instance, random: Random): void {
  const { registrations } = server.engine;
  const stayMs = random.between(1, 4_000);
  server.post(() => {
    const session = registrations.openSession(create(SessionRequestSchema, { instanceId }), {});
    later(stayMs, () => server.post(() => void registrations.endSession(session)));
  });
}

/** Clears what the server has under this id and seals an instance of the same shape over other memory. */
export function sealForeign({ kernel, server, serverVersion }: World, shape: InstanceShape): void {
  const { instanceId, namespace, worldSize, layers, blocks } = shape;
  const { registrations } = server.engine;
  const seal = async () => {
    await registrations.cleanupInstance(instanceId);
    server.registered(instanceId);
    for (let rank = 0; rank < worldSize; rank++) {
      const wrapperBytes = Array.from(
        { length: layers },
        () => new DeviceMemory(kernel, rank, blocks, BLOCK_BYTES, () => {}).wrapperBytes,
      );
      const request = create(RegisterContextRequestSchema, {
        instanceId,
        namespace,
        tpRank: rank,
        tpSize: worldSize,
        worldSize,
        deviceId: rank,
        clientVersion: serverVersion,
        layerNames: wrapperBytes.map((_, layer) => `layer ${layer}`),
        wrapperBytes,
        numBlocks: wrapperBytes.map(() => BigInt(blocks)),
        bytesPerBlock: wrapperBytes.map(() => BigInt(BLOCK_BYTES)),
        kvStrideBytes: wrapperBytes.map(() => 0n),
        segments: wrapperBytes.map(() => 1),
      });
      await registrations.register(request, call());
    }
  };
  // A version that is not ours, or a fault switch, may keep him out.
  server.post(() => void seal().catch(() => {}));
}
