import { type CreatorStamp, pidOf } from '../creator-stamp.ts';
import { DeviceError } from '../device-error.ts';
import { IPC_HANDLE_SIZE_BYTES } from '../device-memory.ts';

/** `pegaflow_dev_<pid>_<creator stamp, 16 hex digits>_<32 random hex digits>` names a segment of emulated device memory. */
const SEGMENT_PREFIX = 'pegaflow_dev_';

const SEGMENT_NAME = /^pegaflow_dev_\d+_([0-9a-f]{16})_[0-9a-f]{32}$/;
const MAGIC = new TextEncoder().encode('PGFEMUv1');
const RANDOM_SIZE_BYTES = 16;
const offsets = { magic: 0, deviceId: 8, sizeBytes: 16, creator: 24, random: 32, padding: 48 } as const;

/** One allocation, as its handle names it to other processes. */
export interface Segment {
  readonly deviceId: number;
  readonly sizeBytes: number;
  readonly creator: CreatorStamp;
  /** 16 bytes that no other segment has. */
  readonly random: Uint8Array;
}

export function segmentNameOf({ creator, random }: Segment): string {
  return `${SEGMENT_PREFIX}${pidOf(creator)}_${creator.toString(16).padStart(16, '0')}_${hex(random)}`;
}

/** The stamp inside a segment's name; `null` for a name that is not one of ours. */
export function creatorOfSegment(name: string): CreatorStamp | null {
  const stamp = SEGMENT_NAME.exec(name)?.[1];
  return stamp === undefined ? null : BigInt(`0x${stamp}`);
}

export function encodeHandle(segment: Segment): Uint8Array {
  const handle = new Uint8Array(IPC_HANDLE_SIZE_BYTES);
  const view = new DataView(handle.buffer);
  handle.set(MAGIC, offsets.magic);
  view.setUint32(offsets.deviceId, segment.deviceId, true);
  view.setBigUint64(offsets.sizeBytes, BigInt(segment.sizeBytes), true);
  view.setBigUint64(offsets.creator, segment.creator, true);
  handle.set(segment.random, offsets.random);
  return handle;
}

/** @throws DeviceError for a handle of another length (`cudaErrorInvalidValue`) or origin (`cudaErrorInvalidResourceHandle`) */
export function decodeHandle(handle: Uint8Array): Segment {
  if (handle.length !== IPC_HANDLE_SIZE_BYTES) {
    const detail = `a handle has ${IPC_HANDLE_SIZE_BYTES} bytes, this one ${handle.length}`;
    throw new DeviceError('cudaErrorInvalidValue', 'cudaIpcOpenMemHandle', detail);
  }
  const isOurs = MAGIC.every((byte, i) => handle[i] === byte);
  const isPadded = handle.subarray(offsets.padding).every((byte) => byte === 0);
  const view = new DataView(handle.buffer, handle.byteOffset, handle.length);
  const sizeBytes = view.getBigUint64(offsets.sizeBytes, true);
  if (!isOurs || !isPadded || sizeBytes === 0n || sizeBytes > Number.MAX_SAFE_INTEGER) {
    const detail = 'not a handle of emulated device memory';
    throw new DeviceError('cudaErrorInvalidResourceHandle', 'cudaIpcOpenMemHandle', detail);
  }
  return {
    deviceId: view.getUint32(offsets.deviceId, true),
    sizeBytes: Number(sizeBytes),
    creator: view.getBigUint64(offsets.creator, true),
    random: handle.slice(offsets.random, offsets.random + RANDOM_SIZE_BYTES),
  };
}

/** The object in /dev/shm that a handle of emulated memory names; `null` for a handle of CUDA's. */
export function segmentOfHandle(handle: Uint8Array): string | null {
  if (!MAGIC.every((byte, i) => handle[i] === byte)) return null;
  return segmentNameOf(decodeHandle(handle));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
