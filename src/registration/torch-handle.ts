import type { IpcWrapper } from './ipc-wrapper.ts';
import { IpcWrapperError } from './ipc-wrapper-error.ts';

/** `CUDA_IPC_HANDLE_SIZE`, driver_types.h: of memory and of events. */
const IPC_HANDLE_SIZE_BYTES = 64;

/**
 * What torch puts in front of a handle: the version of the format and the kind of memory. It opens every version up to its
 * own, so the lowest is written. `c` is memory of `cudaMalloc` in every version; `e`, an expandable segment, is something else.
 */
const MARKER_VERSION = 1;
const NEWEST_MARKER_VERSION = 3;
const CUDA_MALLOC = 0x63;
const EXPANDABLE_SEGMENT = 0x65;
const MARKER_SIZE_BYTES = 2;

/**
 * The `memoryHandle` of a wrapper for torch 2.5 and later (pytorch #130890; up to 2.14 it was looked at), from a handle of
 * `cudaIpcGetMemHandle`. Older ones want the 64 bytes as they are, which the newer ones take too.
 * @throws IpcWrapperError unless it has 64 bytes
 */
export function torchMemoryHandle(handle: Uint8Array): Uint8Array {
  if (handle.length !== IPC_HANDLE_SIZE_BYTES)
    throw new IpcWrapperError(`memory handle has ${handle.length} bytes, not 64`);
  return Uint8Array.of(MARKER_VERSION, CUDA_MALLOC, ...handle);
}

/** A tensor in CUDA memory of this process, as far as another process must know it. */
export interface CudaTensor {
  readonly deviceIndex: number;
  readonly deviceUuid: string;
  /** The 64 bytes that `cudaIpcGetMemHandle` gave for its allocation. */
  readonly handle: Uint8Array;
  /** From the beginning of that allocation. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Without the module: `bfloat16`. */
  readonly dtype: string;
  /** In elements. */
  readonly shape: readonly number[];
  /** In elements. */
  readonly stride: readonly number[];
  /** Where a consumer says that it let go, for example of `TorchRefCounters`; default: nowhere, which torch puts up with. */
  readonly refCounter?: { readonly file: Uint8Array; readonly slot: number };
  /** The 64 bytes of an event that a consumer has to wait for before it reads; default: none. */
  readonly eventHandle?: Uint8Array;
}

/** What torch's `_share_cuda_()` would say about this tensor, for a server whose torch is 2.5 or later. @throws IpcWrapperError */
export function torchWrapperOf(tensor: CudaTensor): IpcWrapper {
  const { refCounter, eventHandle } = tensor;
  if (eventHandle !== undefined && eventHandle.length !== IPC_HANDLE_SIZE_BYTES)
    throw new IpcWrapperError(`event handle has ${eventHandle.length} bytes, not 64`);
  return {
    deviceIndex: tensor.deviceIndex,
    memoryHandle: torchMemoryHandle(tensor.handle),
    storageSizeBytes: tensor.sizeBytes,
    storageOffsetBytes: tensor.offsetBytes,
    refCounterFile: refCounter?.file ?? new Uint8Array(),
    refCounterSlot: refCounter?.slot ?? 0,
    eventHandle: eventHandle ?? new Uint8Array(IPC_HANDLE_SIZE_BYTES),
    eventSyncRequired: eventHandle !== undefined,
    dtype: tensor.dtype,
    shape: tensor.shape,
    stride: tensor.stride,
    deviceUuid: tensor.deviceUuid,
  };
}

/**
 * The handle for `cudaIpcOpenMemHandle` inside a wrapper's `memoryHandle`, whichever torch wrote it.
 * @throws IpcWrapperError for another kind of memory, another length and a format that is newer than torch 2.14
 */
export function ipcHandleFrom(memoryHandle: Uint8Array): Uint8Array {
  if (memoryHandle.length === IPC_HANDLE_SIZE_BYTES) return memoryHandle;
  const [version = 0, kind] = memoryHandle;
  if (version > NEWEST_MARKER_VERSION) throw new IpcWrapperError(`memory handle of a newer torch: version ${version}`);
  if (kind === EXPANDABLE_SEGMENT) {
    throw new IpcWrapperError('memory of an expandable segment (PYTORCH_CUDA_ALLOC_CONF) has no IPC handle');
  }
  const isMarked = kind === CUDA_MALLOC && memoryHandle.length === MARKER_SIZE_BYTES + IPC_HANDLE_SIZE_BYTES;
  if (!isMarked) throw new IpcWrapperError(`memory handle of ${memoryHandle.length} bytes is of no kind that is known`);
  return memoryHandle.subarray(MARKER_SIZE_BYTES);
}
