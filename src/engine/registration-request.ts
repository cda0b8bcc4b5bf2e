import { Code } from '@connectrpc/connect';
import type { RegisterContextRequest } from '../gen/pegaflow/engine_pb.ts';
import { badRequest, EngineError, invalidArgument } from './engine-error.ts';
import type { WorkerLayer } from './gpu-worker.ts';
import { layoutFrom } from './layout.ts';
import type { Tensor } from './tensor-registry.ts';

/** The version comes before everything else; the answer tells the client ours. */
export const checkVersion = (clientVersion: string, serverVersion: string): void => {
  if (clientVersion === serverVersion) return;
  throw new EngineError(
    Code.FailedPrecondition,
    `PegaFlow version mismatch: client=${clientVersion || '<missing>'} server=${serverVersion}`,
  );
};

/** What can be refused without looking at any state. */
export const checkRegistration = (request: RegisterContextRequest): void => {
  const { deviceId, tpRank, tpSize, worldSize, layerNames } = request;
  checkDeviceId(deviceId);
  if (tpSize === 0 || worldSize === 0) throw badRequest('tp_size and world_size must be > 0');
  if (tpRank >= tpSize) throw badRequest(`tp_rank ${tpRank} out of range for tp_size ${tpSize}`);
  const lists = [
    request.wrapperBytes,
    request.numBlocks,
    request.bytesPerBlock,
    request.kvStrideBytes,
    request.segments,
  ];
  if (layerNames.length === 0 || lists.some(({ length }) => length !== layerNames.length)) {
    throw badRequest('layer_names, wrapper_bytes and the layout lists must have the same non-zero length');
  }
};

export const checkDeviceId = (deviceId: number): void => {
  if (deviceId < 0) throw badRequest(`device_id ${deviceId} must be >= 0`);
};

/** Puts mapped memory and described layout together. Throws INVALID_ARGUMENT where they contradict each other. */
export const layersFrom = (
  request: RegisterContextRequest,
  tensors: ReadonlyMap<string, Tensor>,
): Map<string, WorkerLayer> => {
  const { layerNames, layerGroupIds } = request;
  if (layerGroupIds.length !== 0 && layerGroupIds.length !== layerNames.length) {
    throw invalidArgument(
      `metadata length mismatch: ${layerNames.length} layers, ${layerGroupIds.length} layer_group_ids`,
    );
  }
  return new Map(
    layerNames.map((name, i) => {
      const tensor = tensors.get(name)!;
      const shape = {
        bytesPerBlock: sizeFrom(name, request.bytesPerBlock[i]!),
        kvStrideBytes: sizeFrom(name, request.kvStrideBytes[i]!),
        numBlocks: sizeFrom(name, request.numBlocks[i]!),
        segments: request.segments[i]!,
      };
      return [name, { tensor, groupId: layerGroupIds[i] ?? 0, layout: layoutFrom(name, shape, tensor.sizeBytes) }];
    }),
  );
};

const sizeFrom = (layerName: string, value: bigint): number => {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidArgument(`layer ${layerName}: size overflow`);
  return Number(value);
};
