import type { DeviceBuffer, DeviceDriver, DeviceMemory } from './device-memory.ts';
import type { AllocationPart } from './device-range.ts';

/**
 * Memory of a CUDA device. The `Async` forms run on a thread of their own, so that the event loop goes on; the bytes that
 * they read or write must not change and their `ArrayBuffer` must not be transferred until the promise settles. Memory that is
 * disposed of meanwhile is given back after the last of them. `await using` waits for them and for the device on that thread,
 * `using` for the device here.
 */
export interface CudaBuffer extends DeviceBuffer, AsyncDisposable {
  readAsync(offset: number, target: Uint8Array): Promise<void>;
  writeAsync(offset: number, source: Uint8Array): Promise<void>;
  /** Sets every byte of a range to one value (`cudaMemset`). */
  fill(offset: number, lengthBytes: number, byte: number): void;
}

export type CudaMemory = CudaBuffer & DeviceMemory;

/**
 * Copies and waits in order, beside other streams (`cudaStreamCreateWithFlags`, non-blocking). What a copy reads and writes
 * is held until the stream was waited for or found idle. Disposing waits, then destroys; during `synchronizeAsync`, it leaves
 * both to the last of those.
 */
export interface CudaStream extends Disposable {
  readonly deviceId: number;
  /** Begins to fill `target`, which is complete after {@link synchronize}. */
  read(memory: CudaBuffer, offset: number, target: Uint8Array): void;
  /** Begins to write `source`, which must not change until {@link synchronize}. */
  write(memory: CudaBuffer, offset: number, source: Uint8Array): void;
  /** Marks where the stream is now (`cudaEventRecord`). */
  record(event: CudaEvent): void;
  /** Whatever comes after waits for the event (`cudaStreamWaitEvent`). */
  waitFor(event: CudaEvent): void;
  /** Whether everything is done (`cudaStreamQuery`). */
  isIdle(): boolean;
  synchronize(): void;
  synchronizeAsync(): Promise<void>;
}

/**
 * A point in a stream that another process can wait for (`cudaEventInterprocess`, without timing). Disposing destroys it,
 * after the last `synchronizeAsync`.
 */
export interface CudaEvent extends Disposable {
  readonly deviceId: number;
  /** Whether the stream that last recorded it has come that far; true before the first time. */
  isReached(): boolean;
  synchronize(): void;
  synchronizeAsync(): Promise<void>;
  /** Names the event for another process (`cudaIpcGetEventHandle`): 64 bytes. */
  exportHandle(): Uint8Array;
}

/** The CUDA runtime. Disposing ends its threads; memory, streams and events are their holders' to dispose of. */
export interface CudaDriver extends DeviceDriver, AsyncDisposable {
  readonly kind: 'cuda';
  /** The libcudart in use, as the loader was given it. */
  readonly libraryPath: string;
  /** Of libcudart: 13000 is 13.0. */
  readonly runtimeVersion: number;
  /** The newest CUDA that the driver serves: 12080 is 12.8. */
  readonly driverVersion: number;
  /** `domain:bus:device.function` in hexadecimal digits. */
  pciBusId(deviceId: number): string;
  memoryInfo(deviceId: number): { readonly freeBytes: number; readonly totalBytes: number };

  allocate(deviceId: number, sizeBytes: number): CudaMemory;
  allocateAsync(deviceId: number, sizeBytes: number): Promise<CudaMemory>;
  /**
   * Memory that somebody else in this process allocated and frees, a tensor inside a pool for example. It can be exported as
   * long as it lives; disposing only forgets it.
   * @throws DeviceError unless all of it lies inside one allocation on this device
   */
  adopt(deviceId: number, address: bigint, sizeBytes: number): CudaMemory;
  openHandle(deviceId: number, handle: Uint8Array, part?: AllocationPart): CudaBuffer;
  openHandleAsync(deviceId: number, handle: Uint8Array, part?: AllocationPart): Promise<CudaBuffer>;

  createStream(deviceId: number): CudaStream;
  createEvent(deviceId: number): CudaEvent;
  /** An event of another process. */
  openEvent(deviceId: number, handle: Uint8Array): CudaEvent;
  /** Pins memory of this process, so that copies from and to it are fast; disposing, after the last copy, lets go (`cudaHostRegister`). */
  registerHost(bytes: Uint8Array): Disposable;
  /** Waits for everything on the device, here or on its thread. */
  synchronize(deviceId: number): void;
  synchronizeAsync(deviceId: number): Promise<void>;
}
