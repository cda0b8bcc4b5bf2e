/** A SaveRequest as bytes of the wire, a slice at a time: what its layers have in common is encoded once. */
import { create, toBinary } from '@bufbuild/protobuf';
import { type SaveLayer, SaveLayerSchema, type SaveRequest, SaveRequestSchema } from '../gen/pegaflow/engine_pb.ts';

/** Few enough bytes to be handed on between two turns of the event loop. */
const SLICE_BYTES = 256 << 10;

/** Tags: the number of a field and its wire type, which is a length and so many bytes. */
const SAVES_TAG = (4 << 3) | 2;
const BLOCK_IDS_TAG = (2 << 3) | 2;
const BLOCK_HASHES_TAG = (3 << 3) | 2;

export interface SlicedMessage {
  readonly sizeBytes: number;
  /** The same bytes as `toBinary`, in order. */
  slices(): Generator<Uint8Array, void>;
}

/** Reads every hash and id at once: what the host does with their memory afterwards does not matter. */
export function slicedSave({ saves, ppRank, ...rest }: SaveRequest): SlicedMessage {
  const before = toBinary(SaveRequestSchema, create(SaveRequestSchema, { ...rest, saves: [], ppRank: 0 }));
  const after = toBinary(SaveRequestSchema, create(SaveRequestSchema, { ppRank }));
  const blocks = new Map<Uint8Array[], Map<number[], Uint8Array>>();
  const blocksOf = ({ blockIds, blockHashes }: SaveLayer): Uint8Array => {
    const byIds = blocks.get(blockHashes) ?? new Map<number[], Uint8Array>();
    blocks.set(blockHashes, byIds);
    const encoded = byIds.get(blockIds) ?? encodedBlocks(blockIds, blockHashes);
    byIds.set(blockIds, encoded);
    return encoded;
  };
  const layers = saves.map((layer) => {
    const name = toBinary(SaveLayerSchema, create(SaveLayerSchema, { layerName: layer.layerName }));
    const shared = blocksOf(layer);
    const head = new Uint8Array(1 + varintBytes(name.length + shared.length) + name.length);
    head[0] = SAVES_TAG;
    head.set(name, writeVarint(head, 1, name.length + shared.length));
    return { head, shared };
  });
  const sizeOfLayers = layers.reduce((sum, { head, shared }) => sum + head.length + shared.length, 0);
  return {
    sizeBytes: before.length + sizeOfLayers + after.length,
    *slices() {
      yield before;
      for (const { head, shared } of layers) {
        yield head;
        for (let at = 0; at < shared.length; at += SLICE_BYTES) yield shared.subarray(at, at + SLICE_BYTES);
      }
      yield after;
    },
  };
}

/** The fields `block_ids`, packed, and `block_hashes`. */
function encodedBlocks(blockIds: readonly number[], blockHashes: readonly Uint8Array[]): Uint8Array {
  let idsBytes = 0;
  for (const id of blockIds) idsBytes += varintBytes(id);
  let sizeBytes = idsBytes === 0 ? 0 : 1 + varintBytes(idsBytes) + idsBytes;
  for (const { length } of blockHashes) sizeBytes += 1 + varintBytes(length) + length;
  const bytes = new Uint8Array(sizeBytes);
  let at = 0;
  if (idsBytes > 0) {
    bytes[at] = BLOCK_IDS_TAG;
    at = writeVarint(bytes, at + 1, idsBytes);
    for (const id of blockIds) at = writeVarint(bytes, at, id);
  }
  for (const hash of blockHashes) {
    bytes[at] = BLOCK_HASHES_TAG;
    at = writeVarint(bytes, at + 1, hash.length);
    bytes.set(hash, at);
    at += hash.length;
  }
  return bytes;
}

/** Of a whole number below 2^32. */
function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes += 1;
  return bytes;
}

/** Where it ends. */
function writeVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}
