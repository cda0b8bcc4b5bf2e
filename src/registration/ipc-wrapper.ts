import { IpcWrapperError } from './ipc-wrapper-error.ts';
import { dtypeModule, dtypeOf, sizeClass, wrapperClass } from './ipc-wrapper-globals.ts';
import { readPickle } from './pickle-reader.ts';
import {
  describe,
  expectBool,
  expectInt,
  expectKind,
  expectText,
  type Global,
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
  out.int(0);
  out.text('device_uuid');
  out.text(wrapper.deviceUuid);
  out.op('SETITEMS');
  out.op('BUILD');
  return out.finish();
}

/**
 * Reads what {@link encodeIpcWrapper} or CPython's pickler, at protocols 2 to 5, writes for such an object. Nothing is executed,
 * and the result shares no memory with `bytes`.
 * @throws IpcWrapperError for anything else
 */
export function decodeIpcWrapper(bytes: Uint8Array): IpcWrapper {
  const { attributes } = expectKind(readPickle(bytes), 'instance', 'the pickled object');
  if (attributes === null) throw new IpcWrapperError('has no attributes');
  const unknown = [...attributes.keys()].filter((name) => !ATTRIBUTES.has(name));
  if (unknown.length > 0) throw new IpcWrapperError(`has unknown attributes: ${unknown.join(', ')}`);

  const storageOffset = expectInt(attributes.get('storage_offset'), 'storage_offset');
  if (storageOffset !== 0) throw new IpcWrapperError(`storage_offset is ${storageOffset}, not 0`);
  const shape = intsFrom(expectKind(attributes.get('shape'), 'size', 'shape').items, 'shape');
  const stride = intsFrom(expectKind(attributes.get('stride'), 'tuple', 'stride').items, 'stride');
  if (shape.length !== stride.length) {
    throw new IpcWrapperError(`shape has ${shape.length} dimensions, stride ${stride.length}`);
  }
  return {
    ...handleFrom(expectKind(attributes.get('handle'), 'tuple', 'handle').items),
    dtype: dtypeFrom(expectKind(attributes.get('dtype'), 'global', 'dtype')),
    shape,
    stride,
    deviceUuid: expectText(attributes.get('device_uuid'), 'device_uuid'),
  };
}

const ATTRIBUTES: ReadonlySet<string> = new Set([
  'handle',
  'dtype',
  'shape',
  'stride',
  'storage_offset',
  'device_uuid',
]);

type Handle = Omit<IpcWrapper, 'dtype' | 'shape' | 'stride' | 'deviceUuid'>;

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

function dtypeFrom(value: Global): string {
  const dtype = dtypeOf(value);
  if (dtype === null) throw new IpcWrapperError(`dtype is ${describe(value)}`);
  return dtype;
}

function intsFrom(items: readonly PickleValue[], what: string): number[] {
  return items.map((item) => expectInt(item, what));
}
