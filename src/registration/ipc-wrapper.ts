import { IpcWrapperError } from './ipc-wrapper-error.ts';
import { dtypeModule, dtypeOf, sizeClass, wrapperClass } from './ipc-wrapper-globals.ts';
import { readPickle } from './pickle-reader.ts';
import {
  describe,
  expectBool,
  expectInt,
  expectItems,
  expectKind,
  expectText,
  type PickleValue,
} from './pickle-values.ts';
import { PickleWriter } from './pickle-writer.ts';
import { torchDtypes } from './torch-dtypes.ts';

/**
 * One layer's KV memory as a worker registers it: the content of `RegisterContextRequest.wrapper_bytes`. The first eight
 * fields are torch's `UntypedStorage._share_cuda_()`, the rest says how the tensor lies in that storage.
 */
export interface IpcWrapper {
  /** Of the exporting process; the server finds its own index by `deviceUuid`. */
  readonly deviceIndex: number;
  /** A `cudaIpcMemHandle_t`, 64 bytes; torch 2.5 and later put a marker in front, which torch-handle.ts knows. */
  readonly memoryHandle: Uint8Array;
  readonly storageSizeBytes: number;
  /** From the start of the exported allocation to the storage. */
  readonly storageOffsetBytes: number;
  /** Name of torch's shared reference counters; empty where torch is not involved. */
  readonly refCounterFile: Uint8Array;
  readonly refCounterSlot: number;
  /** A `cudaIpcEventHandle_t`, 64 bytes; zeros where there is no event. */
  readonly eventHandle: Uint8Array;
  /** Whether the server opens that event and waits for it; emulated memory has none. */
  readonly eventSyncRequired: boolean;
  /** Without the module: `bfloat16`. */
  readonly dtype: string;
  /** In elements. */
  readonly shape: readonly number[];
  /** In elements. */
  readonly stride: readonly number[];
  /**
   * From the start of the storage to the tensor, in elements. Default 0. With another one the registered memory ends where the
   * storage does; a server of 0.23.12 takes it for as long as the storage all the same.
   */
  readonly storageOffset?: number;
  /** As `nvidia-smi` writes it, without the `GPU-` prefix. */
  readonly deviceUuid: string;
}

/**
 * The pickle of a `pegaflow.ipc_wrapper.CudaIPCWrapper` with these attributes, at protocol 4, which Python 3.4 and later read.
 * @throws IpcWrapperError for a number that is not an integer of 0 or more and for a dtype that torch does not have
 */
export function encodeIpcWrapper(wrapper: IpcWrapper): Uint8Array {
  if (!torchDtypes.has(wrapper.dtype)) throw new IpcWrapperError(`torch has no dtype ${JSON.stringify(wrapper.dtype)}`);
  const out = new PickleWriter();
  out.global(wrapperClass.module, wrapperClass.name);
  out.op('EMPTY_TUPLE');
  out.op('NEWOBJ');
  out.op('EMPTY_DICT');
  out.op('MARK');
  out.text('handle');
  out.tuple(() => {
    out.int(wrapper.deviceIndex);
    out.bytes(wrapper.memoryHandle);
    out.int(wrapper.storageSizeBytes);
    out.int(wrapper.storageOffsetBytes);
    out.bytes(wrapper.refCounterFile);
    out.int(wrapper.refCounterSlot);
    out.bytes(wrapper.eventHandle);
    out.bool(wrapper.eventSyncRequired);
  });
  out.text('dtype');
  out.global(dtypeModule, wrapper.dtype);
  out.text('shape');
  out.global(sizeClass.module, sizeClass.name);
  out.ints(wrapper.shape);
  out.op('TUPLE1');
  out.op('REDUCE');
  out.text('stride');
  out.ints(wrapper.stride);
  out.text('storage_offset');
  out.int(wrapper.storageOffset ?? 0);
  out.text('device_uuid');
  out.text(wrapper.deviceUuid);
  out.op('SETITEMS');
  out.op('BUILD');
  return out.finish();
}

/** A wrapper as another pickler may have written it, Python's own included. */
export interface ReceivedIpcWrapper extends Omit<IpcWrapper, 'dtype' | 'stride' | 'storageOffset'> {
  /** `null`: torch's default. */
  readonly dtype: string | null;
  /** `null`: the storage from its start, in the order of the shape; the offset counts for nothing then. */
  readonly stride: readonly number[] | null;
  readonly storageOffset: number;
}

/**
 * Reads what {@link encodeIpcWrapper} or CPython's pickler, at protocols 0 to 5, writes for such an object; attributes that
 * a server does not read are ignored. Nothing is executed, and the result shares no memory with `bytes`.
 * @throws IpcWrapperError for anything else
 */
export function decodeIpcWrapper(bytes: Uint8Array): ReceivedIpcWrapper {
  const { attributes } = expectKind(readPickle(bytes), 'instance', 'the pickled object');
  const shape = intsFrom(expectItems(attributes.get('shape'), 'shape'), 'shape');
  const stride = strideFrom(attributes.get('stride'));
  if (stride !== null && shape.length !== stride.length) {
    throw new IpcWrapperError(`shape has ${shape.length} dimensions, stride ${stride.length}`);
  }
  return {
    ...handleFrom(expectItems(attributes.get('handle'), 'handle')),
    dtype: dtypeFrom(attributes.get('dtype')),
    shape,
    stride,
    storageOffset: stride === null ? 0 : storageOffsetFrom(attributes),
    deviceUuid: expectText(attributes.get('device_uuid'), 'device_uuid'),
  };
}

type Handle = Omit<ReceivedIpcWrapper, 'dtype' | 'shape' | 'stride' | 'storageOffset' | 'deviceUuid'>;

function handleFrom(items: readonly PickleValue[]): Handle {
  if (items.length !== 8) throw new IpcWrapperError(`handle has ${items.length} items, not 8`);
  return {
    deviceIndex: expectInt(items[0], 'device index'),
    memoryHandle: expectKind(items[1], 'bytes', 'memory handle').bytes,
    storageSizeBytes: expectInt(items[2], 'storage size'),
    storageOffsetBytes: expectInt(items[3], 'storage offset'),
    refCounterFile: expectKind(items[4], 'bytes', 'reference counter file').bytes,
    refCounterSlot: expectInt(items[5], 'reference counter slot'),
    eventHandle: expectKind(items[6], 'bytes', 'event handle').bytes,
    eventSyncRequired: expectBool(items[7], 'event sync flag'),
  };
}

function dtypeFrom(value: PickleValue | undefined): string | null {
  if (value === null) return null;
  const dtype = dtypeOf(expectKind(value, 'global', 'dtype'));
  if (dtype === null) throw new IpcWrapperError(`dtype is ${describe(value)}`);
  return dtype;
}

/** Wrappers of old releases had none. */
function storageOffsetFrom(attributes: ReadonlyMap<PickleValue, PickleValue>): number {
  return attributes.has('storage_offset') ? expectInt(attributes.get('storage_offset'), 'storage_offset') : 0;
}

/** Wrappers of old releases had no stride, which is read like `None`. */
function strideFrom(value: PickleValue | undefined): readonly number[] | null {
  return value === undefined || value === null ? null : intsFrom(expectItems(value, 'stride'), 'stride');
}

function intsFrom(items: readonly PickleValue[], what: string): number[] {
  return items.map((item) => expectInt(item, what));
}
