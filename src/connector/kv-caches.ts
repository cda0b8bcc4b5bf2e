import { create } from '@bufbuild/protobuf';
import type { Epoch } from '../../machines/index.ts';
import { segmentOfHandle } from '../../native-bindings/index.ts';
import { type RegisterContextRequest, RegisterContextRequestSchema, TransferMode } from '../gen/pegaflow/engine_pb.ts';
import { decodeIpcWrapper } from '../registration/ipc-wrapper.ts';
import { IpcWrapperError } from '../registration/ipc-wrapper-error.ts';
import { ipcHandleFrom } from '../registration/torch-handle.ts';
import type { OurMemory } from '../rpc/holder/memory-holder.ts';
import type { InstanceOptions } from './options.ts';

/** One layer's KV memory on this rank's device, as pegaflow-server wants it described. */
export interface KvCacheLayer {
  readonly name: string;
  /** Pickled `CudaIPCWrapper`; it names this process's memory and stays good as long as the process lives. */
  readonly wrapperBytes: Uint8Array;
  readonly numBlocks: number;
  /** Bytes of one block in one segment: of K or V alone where there are two. */
  readonly bytesPerBlock: number;
  /** Bytes from the K region to the V region; 0 with one segment. */
  readonly kvStrideBytes: number;
  /** 2: K and V apart. 1: one region. */
  readonly segments: number;
  /** Storage group, the same on every rank; a hybrid model has several, counted from 0 without a gap. Default 0. */
  readonly groupId?: number;
}

/**
 * The layers under the names that they have at the server in one registration. The server refuses a Save or Load that
 * names a layer which is not registered: so what belongs to another epoch, another scheduler or another replica with our
 * id touches nothing, however late it arrives. One prefix for all ranks leaves the order of the names as it is, and with it
 * the slots in which blocks are shared with others.
 */
export function layersIn(registeredIn: Epoch, layers: readonly KvCacheLayer[]): KvCacheLayer[] {
  const prefix = `${registeredIn.schedulerBootId.slice(0, BOOT_ID_LENGTH)}.${registeredIn.counter}/`;
  return layers.map((layer) => ({ ...layer, name: `${prefix}${layer.name}` }));
}

/** Of a UUID: 48 random bits. */
const BOOT_ID_LENGTH = 13;

/** The first layer whose tensor does not begin where its storage does, or whose wrapper cannot be read, so that it may not. */
export function layerWithOffset(layers: readonly KvCacheLayer[]): string | undefined {
  return layers.find(({ wrapperBytes }) => mayHaveStorageOffset(wrapperBytes))?.name;
}

function mayHaveStorageOffset(wrapperBytes: Uint8Array): boolean {
  try {
    return decodeIpcWrapper(wrapperBytes).storageOffset !== 0;
  } catch (error) {
    if (error instanceof IpcWrapperError) return true;
    throw error;
  }
}

/** What of this rank's memory a server maps that takes these layers. */
export function memoryOf(deviceId: number, layers: readonly KvCacheLayer[]): OurMemory {
  const segments = new Set(layers.flatMap(({ wrapperBytes }) => segmentIn(wrapperBytes) ?? []));
  return { deviceId, segments: [...segments] };
}

/** The emulated memory that a wrapper names. One of a CUDA device, and one that cannot be read, name none. */
function segmentIn(wrapperBytes: Uint8Array): string | null {
  try {
    return segmentOfHandle(ipcHandleFrom(decodeIpcWrapper(wrapperBytes).memoryHandle));
  } catch (error) {
    if (error instanceof IpcWrapperError) return null;
    throw error;
  }
}

/** Names of the layers of one storage group. A rank may have none. */
export function layerNamesOf(
  layers: readonly Pick<KvCacheLayer, 'name' | 'groupId'>[],
  wantedGroupId: number,
): string[] {
  return layers.filter(({ groupId = 0 }) => groupId === wantedGroupId).map(({ name }) => name);
}

/** Which rank it is, by the counts of pegaflow-server. */
interface RankPlace {
  readonly tpRank: number;
  readonly tpSize: number;
  readonly deviceId: number;
  /** Default 0. */
  readonly ppRank?: number;
}

/** The registration of one rank with a server of this version. */
export function registrationOf(
  options: InstanceOptions & RankPlace,
  layers: readonly KvCacheLayer[],
  serverVersion: string,
): RegisterContextRequest {
  const { instanceId, namespace, tpRank, tpSize, worldSize, deviceId, ppRank = 0 } = options;
  return create(RegisterContextRequestSchema, {
    instanceId,
    namespace,
    tpRank,
    tpSize,
    worldSize,
    deviceId,
    ppRank,
    clientVersion: serverVersion,
    transferMode: TransferMode.DIRECT,
    layerNames: layers.map((layer) => layer.name),
    wrapperBytes: layers.map((layer) => layer.wrapperBytes as Uint8Array<ArrayBuffer>),
    numBlocks: layers.map((layer) => BigInt(layer.numBlocks)),
    bytesPerBlock: layers.map((layer) => BigInt(layer.bytesPerBlock)),
    kvStrideBytes: layers.map((layer) => BigInt(layer.kvStrideBytes)),
    segments: layers.map((layer) => layer.segments),
    layerGroupIds: layers.some(({ groupId = 0 }) => groupId > 0) ? layers.map(({ groupId = 0 }) => groupId) : [],
  });
}
