import { Code } from '@connectrpc/connect';
import type { RegisterContextRequest } from '../../gen/pegaflow/engine_pb.ts';
import { badRequest, EngineError, invalidArgument } from '../engine-error.ts';
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
  if (tpSize === 0) throw badRequest('tp_size must be > 0');
  if (worldSize === 0) throw badRequest('world_size must be > 0');
  if (tpRank >= tpSize) throw badRequest(`tp_rank ${tpRank} out of range (tp_size ${tpSize})`);
  const lists = [
    request.wrapperBytes,
    request.numBlocks,
    request.bytesPerBlock,
    request.kvStrideBytes,
    request.segments,
  ];
  if (layerNames.length === 0 || lists.some(({ length }) => length !== layerNames.length)) {
    throw badRequest(`all layer arrays must have the same non-zero length (got layer_names=${layerNames.length})`);
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
      `registration metadata length mismatch: layer_names=${layerNames.length}, layer_group_ids=${layerGroupIds.length}`,
    );
  }
  return new Map(
    layerNames.map((name, i) => {
      const tensor = tensors.get(name)!;
      const shape = {
        bytesPerBlock: request.bytesPerBlock[i]!,
        kvStrideBytes: request.kvStrideBytes[i]!,
        numBlocks: request.numBlocks[i]!,
        segments: request.segments[i]!,
      };
      return [name, { tensor, groupId: layerGroupIds[i] ?? 0, layout: layoutFrom(name, shape, tensor.sizeBytes) }];
    }),
  );
};
